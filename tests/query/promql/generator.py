"""Random PromQL whose types fit, over the series of promql_peer.py."""

import random

_COUNTERS = ("http_requests_total", "gappy_total", "latency_seconds_count", "latency_seconds_bucket")
_GAUGES = ("temperature", "up", "memory_bytes", "odd", "constant", "build_info", "late", "none_such")
_MATCHERS = (
    *('job="api"', 'job!="api"', 'job=~"a.*"', 'instance=~"host[01]:80"', 'instance!~"host0.*"', 'code="500"'),
    *('code=~"2..|4.."', 'path="/a"', 'room="kitchen"', 'le="+Inf"', 'le!="0.5"', 'nosuch=""', 'version=~".+"'),
)
_LABELS = ("job", "instance", "code", "path", "room", "le", "version", "nosuch")
_RANGES = ("1m", "2m30s", "5m", "17s", "1h", "95s")
_OFFSETS = ("1m", "7m", "-2m", "33s", "1h")
_OF_VECTOR = (
    *("abs", "absent", "ceil", "exp", "floor", "ln", "log2", "log10", "sgn", "sqrt", "sin", "cos", "tanh", "atan"),
    *("timestamp", "minute", "hour", "day_of_week", "days_in_month", "deg", "rad", "acosh", "round", "sort"),
)
_OF_RANGE = (
    *("rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "avg_over_time", "sum_over_time"),
    *("min_over_time", "max_over_time", "count_over_time", "last_over_time", "present_over_time", "stddev_over_time"),
    *("stdvar_over_time", "absent_over_time"),
)
_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
_ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_END_S = 1_767_232_800
_NUMBERS = ("0", "1", "2", "0.5", "-1", "3.7", "1e3", "NaN", "Inf", "-Inf", "100")


class Generator:
    """Writes queries; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def query(self) -> str:
        """Give an expression for an instant or a range query."""
        return self.scalar(3) if self._chance.random() < 0.04 else self.vector(self._chance.randint(0, 4))

    def _pick(self, *options: str) -> str:
        return self._chance.choice(options)

    def _maybe(self, share: float) -> bool:
        return self._chance.random() < share

    def selector(self) -> str:
        name = self._pick(*_COUNTERS, *_GAUGES)
        matchers = [self._pick(*_MATCHERS) for _ in range(self._chance.choice((0, 0, 1, 1, 2)))]
        return name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def _moved(self) -> str:
        out = f" offset {self._pick(*_OFFSETS)}" if self._maybe(0.15) else ""
        if self._maybe(0.08):
            out += " @ " + self._pick("start()", "end()", "1767228000", "1767230000.5")
        return out

    def scalar(self, depth: int) -> str:
        kind = self._chance.randrange(6) if depth > 0 else self._chance.randrange(3)
        if kind < 2:
            return self._pick(*_NUMBERS)
        if kind == 2:
            return self._pick("time()", "pi()", "5m", "0x10")
        if kind == 3:
            return f"scalar({self.vector(depth - 1)})"
        if kind == 4:
            return f"({self.scalar(depth - 1)} {self._pick(*_ARITHMETIC)} {self.scalar(depth - 1)})"
        return f"({self.scalar(depth - 1)} {self._pick(*_COMPARISONS)} bool {self.scalar(depth - 1)})"

    def matrix(self, depth: int) -> str:
        if depth > 0 and self._maybe(0.25):
            step = self._pick("", "30s", "1m", "17s")
            return f"({self.vector(depth - 1)})[{self._pick('5m', '2m30s', '11m')}:{step}]{self._moved()}"
        return f"{self.selector()}[{self._pick(*_RANGES)}]{self._moved()}"

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector() + self._moved()
        makers = (
            *(self._of_range,) * 4,
            *(self._aggregated,) * 4,
            *(self._with_scalar,) * 2,
            *(self._two_vectors,) * 3,
            self._function,
            self._function,
            self._ranked,
            self._histogram,
            self._relabelled,
            self._special,
        )
        return self._chance.choice(makers)(depth)

    def _of_range(self, depth: int) -> str:
        if self._maybe(0.12):
            return self._pick(
                f"quantile_over_time({self._pick('0.5', '0.99', '-1', 'NaN')}, {self.matrix(depth - 1)})",
                f"predict_linear({self.matrix(depth - 1)}, {self.scalar(0)})",
                f"double_exponential_smoothing({self.matrix(depth - 1)}, 0.5, 0.3)",
            )
        if self._maybe(0.08):  # differences, because deviations of large numbers are not exact
            return f"(ts_of_{self._pick('max', 'min', 'last')}_over_time({self.matrix(depth - 1)}) - {_END_S})"
        return f"{self._pick(*_OF_RANGE)}({self.matrix(depth - 1)})"

    def _grouping(self) -> str:
        if self._maybe(0.25):
            return ""
        labels = ", ".join(self._chance.sample(_LABELS, self._chance.randint(0, 3)))
        return f"{self._pick('by', 'without')} ({labels}) "

    def _aggregated(self, depth: int) -> str:
        return f"{self._pick(*_AGGREGATIONS)} {self._grouping()}({self.vector(depth - 1)})"

    def _ranked(self, depth: int) -> str:
        inner, grouping = self.vector(depth - 1), self._grouping()
        distinct = self._pick(
            "temperature", "memory_bytes", "rate(latency_seconds_sum[5m])"
        )  # of equals any may be taken
        return self._pick(
            f"topk {grouping}({self._pick('1', '3', '100', '0')}, {distinct})",
            f"bottomk {grouping}({self._pick('1', '2')}, {distinct})",
            f"quantile {grouping}({self._pick('0', '0.5', '0.9', '1', '1.5', '-1')}, {inner})",
            f'count_values {grouping}("value", round({inner}))',
            f"limit_ratio {grouping}({self._pick('0.5', '-0.3', '1', '2')}, {inner})",
        )

    def _with_scalar(self, depth: int) -> str:
        vector, scalar = f"({self.vector(depth - 1)})", self.scalar(depth - 1)
        if self._maybe(0.4):
            operator = self._pick(*_COMPARISONS) + (" bool" if self._maybe(0.4) else "")
        else:
            operator = self._pick(*_ARITHMETIC)
        return f"{vector} {operator} {scalar}" if self._maybe(0.6) else f"{scalar} {operator} {vector}"

    def _two_vectors(self, depth: int) -> str:
        left, right = f"({self.vector(depth - 1)})", f"({self.vector(depth - 1)})"
        if self._maybe(0.5):
            right = left if self._maybe(0.4) else f"sum by (job, instance) ({right})"
        matching = ""
        if self._maybe(0.6):
            labels = ", ".join(self._chance.sample(_LABELS, self._chance.randint(0, 3)))
            matching = f" {self._pick('on', 'ignoring')} ({labels})"
        if self._maybe(0.3):
            return f"{left} {self._pick('and', 'or', 'unless')}{matching} {right}"
        operator = self._pick(*_ARITHMETIC, *_COMPARISONS)
        operator += " bool" if operator in _COMPARISONS and self._maybe(0.4) else ""
        if matching and self._maybe(0.4):
            matching += f" {self._pick('group_left', 'group_right')} {self._pick('', '(version)', '(code)')}"
        return f"{left} {operator}{matching} {right}"

    def _function(self, depth: int) -> str:
        return f"{self._pick(*_OF_VECTOR)}({self.vector(depth - 1)})"

    def _histogram(self, depth: int) -> str:
        buckets = self._pick(
            "latency_seconds_bucket",
            f"rate(latency_seconds_bucket[{self._pick(*_RANGES)}])",
            "sum by (le, job) (rate(latency_seconds_bucket[5m]))",
            f"({self.vector(depth - 2)})",
        )
        if self._maybe(0.3):
            lowest = self._pick(
                "0.5", "2", "100", "NaN"
            )  # 3.5 has no answer inside the lowest bucket, later releases do
            return f"histogram_fraction({lowest}, {self.scalar(0)}, {buckets})"
        return f"histogram_quantile({self._pick('0', '0.5', '0.9', '0.99', '1', '2', 'NaN')}, {buckets})"

    def _relabelled(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._pick(
            f'label_replace({inner}, "short", "$1", "instance", "(.*):.*")',
            f'label_replace({self.selector()}, "job", "all", "job", ".*")',
            f'label_join({inner}, "both", "-", "job", "instance")',
        )

    def _special(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._pick(
            f"vector({self.scalar(depth - 1)})",
            f"clamp({inner}, {self.scalar(0)}, {self.scalar(0)})",
            f"clamp_max({inner}, {self.scalar(0)})",
            f"-({inner})",
            f"round({inner}, {self._pick('0.1', '5', '1')})",
            f"absent({inner})",
            f"sort_desc({inner})",
        )
