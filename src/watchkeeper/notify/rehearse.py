"""A test of a receiver: a real notification through each of its ways, with what came of it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.model.alert import Alert
from watchkeeper.model.errors import NotDelivered
from watchkeeper.notify.deliver import integrations_of
from watchkeeper.notify.group import FIRING_ENDS_MS
from watchkeeper.notify.log import Reason
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.settings import Receiver

_TIMEOUT_S = 10.0
TEST_ALERT = "WatchkeeperReceiverTest"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one way of a receiver; `error` is "" when it was taken."""

    integration: str
    error: str
    took_ms: int


async def rehearse(receiver: Receiver, means: Means, who: str, now_ms: int, external_url: str) -> Sequence[Trial]:
    """Send a test alert that fires through every way of a receiver; nothing of it is kept."""
    labels = {"alertname": TEST_ALERT, "severity": "info", "receiver": receiver.name}
    text = f"This is a test of receiver {receiver.name}, asked for by {who}. Nothing is wrong."
    alert = Alert(labels, {"summary": text, "description": text}, now_ms, FIRING_ENDS_MS, now_ms, external_url)
    notification = Notification(
        receiver=receiver.name,
        group_key=f'{{}}:{{alertname="{TEST_ALERT}"}}',
        group_labels={"alertname": TEST_ALERT},
        alerts=(alert,),
        reason=Reason.FIRST,
        now_ms=now_ms,
        external_url=external_url,
        timeout_s=_TIMEOUT_S,
    )
    trials = []
    for way in integrations_of(receiver):
        began_s, error = time.monotonic(), ""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await way.send(notification, way.config, means)
        except NotDelivered as failure:
            error = str(failure)
        except TimeoutError:
            error = f"got no answer in {_TIMEOUT_S:g} s"
        trials.append(Trial(f"{way.kind}[{way.position}]", error, round((time.monotonic() - began_s) * 1000)))
    return trials
