"""Calendar functions of Unix seconds, in UTC.

source  Prometheus 3.5, promql/functions.go dateWrapper
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.frame import Floats, Times
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.matrix import Value

_SECONDS_MAX = float(1 << 63)


def _date(part: Callable[[Times], Floats | Times], of_no_time: int) -> Callable[[Applied], Value]:
    """Make a function.

    of_no_time  what Go's calendar says of the smallest integer, which it makes of NaN and of what is too large
    """

    def apply(call: Applied) -> Value:
        if not call.args:
            return call.lone(_parts(call.steps.times / 1000, part, of_no_time))
        vector = call.vector()
        return call.answer(vector, _parts(vector.values, part, of_no_time))

    return apply


def _parts(seconds: Floats, part: Callable[[Times], Floats | Times], of_no_time: int) -> Floats:
    known = np.abs(seconds) < _SECONDS_MAX  # NaN is not
    whole = np.where(known, np.trunc(seconds), 0.0).astype(np.int64)
    return np.where(known, part(whole), float(of_no_time))


def _days(seconds: Times) -> np.typing.NDArray[np.datetime64]:
    return (seconds // 86_400).astype("datetime64[D]")


def _months(seconds: Times) -> np.typing.NDArray[np.datetime64]:
    return _days(seconds).astype("datetime64[M]")


def _day_of_month(seconds: Times) -> Times:
    return (_days(seconds) - _months(seconds).astype("datetime64[D]")).astype(np.int64) + 1


def _day_of_year(seconds: Times) -> Times:
    return (_days(seconds) - _days(seconds).astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1


def _days_in_month(seconds: Times) -> Times:
    month = _months(seconds)
    return ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)


VECTOR: dict[str, Callable[[Applied], Value]] = {
    "day_of_month": _date(_day_of_month, 4),
    "day_of_week": _date(lambda seconds: (seconds // 86_400 + 4) % 7, 0),  # 1 January 1970 was a Thursday
    "day_of_year": _date(_day_of_year, 339),
    "days_in_month": _date(_days_in_month, 31),
    "hour": _date(lambda seconds: seconds // 3600 % 24, 15),
    "minute": _date(lambda seconds: seconds // 60 % 60, 30),
    "month": _date(lambda seconds: _months(seconds).astype(np.int64) % 12 + 1, 12),
    "year": _date(lambda seconds: _days(seconds).astype("datetime64[Y]").astype(np.int64) + 1970, 292_277_026_596),
}
