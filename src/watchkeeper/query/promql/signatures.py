"""What each PromQL function takes and gives.

source  Prometheus 3.5, promql/parser/functions.go
"""

from dataclasses import dataclass

from watchkeeper.query.promql.ast import Type

_TYPES = {"s": Type.SCALAR, "v": Type.VECTOR, "m": Type.MATRIX, "t": Type.STRING}


@dataclass(frozen=True, slots=True)
class Signature:
    """One function.

    args          types of the arguments
    variadic      how many of the last may be left out; -1: the last may be repeated without end, or left out
    returns       what it gives
    experimental  whether Prometheus wants a feature flag for it
    """

    name: str
    args: tuple[Type, ...]
    variadic: int
    returns: Type
    experimental: bool = False


def _signature(line: str) -> Signature:
    name, args, variadic, returns, *flags = line.split()
    types = tuple(_TYPES[kind] for kind in args if kind != "-")
    return Signature(name, types, int(variadic), _TYPES[returns], bool(flags))


_TABLE = """
abs v 0 v
absent v 0 v
absent_over_time m 0 v
acos v 0 v
acosh v 0 v
asin v 0 v
asinh v 0 v
atan v 0 v
atanh v 0 v
avg_over_time m 0 v
ceil v 0 v
changes m 0 v
clamp vss 0 v
clamp_max vs 0 v
clamp_min vs 0 v
cos v 0 v
cosh v 0 v
count_over_time m 0 v
day_of_month v 1 v
day_of_week v 1 v
day_of_year v 1 v
days_in_month v 1 v
deg v 0 v
delta m 0 v
deriv m 0 v
double_exponential_smoothing mss 0 v experimental
end - 0 s experimental
exp v 0 v
first_over_time m 0 v experimental
floor v 0 v
histogram_avg v 0 v
histogram_count v 0 v
histogram_fraction ssv 0 v
histogram_quantile sv 0 v
histogram_quantiles vts -1 v experimental
histogram_stddev v 0 v
histogram_stdvar v 0 v
histogram_sum v 0 v
hour v 1 v
idelta m 0 v
increase m 0 v
info vv 1 v experimental
irate m 0 v
label_join vttt -1 v
label_replace vtttt 0 v
last_over_time m 0 v
ln v 0 v
log10 v 0 v
log2 v 0 v
mad_over_time m 0 v experimental
max_of ss 0 s experimental
max_over_time m 0 v
min_of ss 0 s experimental
min_over_time m 0 v
minute v 1 v
month v 1 v
pi - 0 s
predict_linear ms 0 v
present_over_time m 0 v
quantile_over_time sm 0 v
rad v 0 v
range - 0 s experimental
rate m 0 v
resets m 0 v
round vs 1 v
scalar v 0 s
sgn v 0 v
sin v 0 v
sinh v 0 v
sort v 0 v
sort_by_label vt -1 v experimental
sort_by_label_desc vt -1 v experimental
sort_desc v 0 v
sqrt v 0 v
start - 0 s experimental
start_timestamp v 0 v experimental
step - 0 s experimental
stddev_over_time m 0 v
stdvar_over_time m 0 v
sum_over_time m 0 v
tan v 0 v
tanh v 0 v
time - 0 s
timestamp v 0 v
ts_of_first_over_time m 0 v experimental
ts_of_last_over_time m 0 v experimental
ts_of_max_over_time m 0 v experimental
ts_of_min_over_time m 0 v experimental
vector s 0 v
year v 1 v
"""

SIGNATURES = {line.split()[0]: _signature(line) for line in _TABLE.strip().splitlines()}
EXPERIMENTAL_AGGREGATORS = frozenset({"limitk", "limit_ratio"})
