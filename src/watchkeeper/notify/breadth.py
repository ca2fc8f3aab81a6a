"""How much a silence would mute, before it does: a slip of the pen in a matcher can make a whole team deaf."""

from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.notify.matcher import Matchers, match_all
from watchkeeper.notify.shown import ShownAlert

_NOBODYS_VALUE = "\x00a value that no label has"


@dataclass(frozen=True, slots=True)
class Breadth:
    """What matchers would mute.

    affected  the alerts of now
    of        how many there are
    reasons   why to ask before making it; empty when there is no need
    """

    affected: tuple[ShownAlert, ...]
    of: int
    reasons: tuple[str, ...]


def breadth_of(matchers: Matchers, alerts: Sequence[ShownAlert], ask_beyond: int) -> Breadth:
    """Weigh matchers against the alerts of now.

    ask_beyond  more alerts than so many are a reason to ask
    """
    affected = tuple(one for one in alerts if match_all(matchers, one.alert.labels))
    reasons = []
    if len(affected) > ask_beyond:
        reasons.append(f"it would mute {len(affected)} alerts that fire now, more than {ask_beyond}")
    if len(alerts) > 1 and len(affected) == len(alerts):
        reasons.append(f"it would mute every one of the {len(alerts)} alerts that fire now")
    if all(one.test(_NOBODYS_VALUE) for one in matchers):
        reasons.append("its matchers hold for nearly any alert to come: none of them names a value")
    return Breadth(affected, len(alerts), tuple(reasons))
