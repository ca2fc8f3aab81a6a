"""Which queries are so short that handing them to a thread would cost more than they do."""

from collections import OrderedDict

QUICK_S = 0.004
QUICK_SAMPLES_MAX = 50_000
_TEXTS_MAX = 4096


class Pace:
    """Remembers how long queries about one moment took. Used on the event loop alone."""

    def __init__(self) -> None:
        self._took_s: OrderedDict[str, float] = OrderedDict()

    def is_quick(self, text: str) -> bool:
        """Say whether a query's text took so little the last time that it may run at once."""
        return self._took_s.get(text, QUICK_S) < QUICK_S

    def note(self, text: str, seconds: float) -> None:
        """Keep how long a query took."""
        self._took_s[text] = seconds
        self._took_s.move_to_end(text)
        if len(self._took_s) > _TEXTS_MAX:
            self._took_s.popitem(last=False)
