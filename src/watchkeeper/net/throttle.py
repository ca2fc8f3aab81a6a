"""A brake on guessing: so many wrong tries from one place, then none until they are forgotten."""

import ipaddress
from collections import OrderedDict

from watchkeeper.model.clock import Clock

_PLACES_MAX = 20_000


class Throttle:
    """Counts tries by key in bounded memory; the keys longest untouched are forgotten first.

    tries_max  tries let through within window_s of the first
    """

    def __init__(self, tries_max: int, window_s: float, clock: Clock) -> None:
        self._tries_max, self._window_s, self._clock = tries_max, window_s, clock
        self._tries: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()

    def enter(self, *key: str) -> int:
        """Count a try before it is checked, so that tries at the same time count, too.

        returns  0 when it may go on, else the seconds until the next may
        """
        now = self._clock.monotonic_s()
        count, until = self._tries.get(key, (0, now + self._window_s))
        if now >= until:
            count, until = 0, now + self._window_s
        if count >= self._tries_max:
            return max(1, int(until - now))
        self._tries[key] = (count + 1, until)
        self._tries.move_to_end(key)
        if len(self._tries) > _PLACES_MAX:
            self._tries.popitem(last=False)
        return 0

    def forgive(self, *key: str) -> None:
        """Forget the tries of a key, as one was right."""
        self._tries.pop(key, None)

    def undo(self, *key: str) -> None:
        """Take back one try, as it was right, and leave the others counted."""
        count, until = self._tries.get(key, (0, 0.0))
        if count > 1:
            self._tries[key] = (count - 1, until)
        else:
            self._tries.pop(key, None)


def neighbourhood(address: str) -> str:
    """Give what counts as one place: an IPv4 address, or the /64 that one IPv6 customer owns."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped or parsed) if parsed.version == 6 else address
