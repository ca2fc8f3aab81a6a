"""What a receiver is told, and the means it has to pass it on."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from watchkeeper.model.alert import Alert
from watchkeeper.net.client import Client
from watchkeeper.notify.group import FIRING_ENDS_MS
from watchkeeper.notify.log import Reason


@dataclass(frozen=True, slots=True)
class Notification:
    """One group's news for one integration.

    receiver   its name in alertmanager.yml
    alerts     in Alertmanager's order, without resolved ones when the integration does not want them
    now_ms     the moment they were taken; who has ended by then is resolved
    timeout_s  how long the attempt may take
    kept       what the integration keeps of its last message to this group, for the next: its to change
    """

    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    alerts: tuple[Alert, ...]
    reason: Reason
    now_ms: int
    external_url: str
    timeout_s: float
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The group's key as services know it: alias, incident, entity."""
        return sha256(self.group_key.encode()).hexdigest()

    @property
    def is_firing(self) -> bool:
        """Whether any alert fires."""
        return status_of(self.alerts) == "firing"


@dataclass(frozen=True, slots=True)
class Means:
    """What receivers work with.

    client  outgoing HTTP
    keep    puts a message into the inbox: receiver, status, JSON; durable when it returns
    texts   gives what makes the texts of a notification by the configuration's templates
    """

    client: Client
    keep: Callable[[str, str, str], Awaitable[None]]
    texts: Callable[[Notification], "Texts"]


class Texts(Protocol):
    """Makes texts of templates; see template.py."""

    def text(self, template: str) -> str:
        """Give a plain text.

        raises  NotDelivered, permanent, when the template fails
        """
        ...

    def html(self, template: str) -> str:
        """Give a text in which every value is escaped for HTML; raises as `text`."""
        ...

    def deep(self, value: Any) -> Any:
        """Give a tree of mappings and lists in which every text is one."""
        ...


class Send(Protocol):
    """How a receiver's module is written: one function, which knows no other receiver.

    raises  NotDelivered; permanent when trying again cannot help
    """

    def __call__(self, notification: Notification, config: Any, means: Means) -> Awaitable[None]: ...


def is_firing(alert: Alert) -> bool:
    """Say whether an alert of a notification fires."""
    return alert.ends_at_ms == FIRING_ENDS_MS


def status_of(alerts: tuple[Alert, ...]) -> str:
    """Give "firing" when any alert fires, else "resolved"."""
    return "firing" if any(map(is_firing, alerts)) else "resolved"
