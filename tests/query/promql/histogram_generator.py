"""Random PromQL over the native histograms of histogram_peer.py."""

from tests.query.promql.generator import Generator

_HISTOGRAMS = ("latency_seconds", "gappy_seconds", "queue_size", "custom_seconds", "changing", "turning")
_MATCHERS = ('job="api"', 'job!="api"', 'instance=~"host[01]:80"', 'instance!="host2:80"', 'nosuch=""')
_LABELS = ("job", "instance", "nosuch")
_RANGES = ("1m", "2m30s", "5m", "47s", "95s")
_OF_RANGE = (
    *("rate", "increase", "delta", "irate", "idelta", "changes", "resets", "avg_over_time", "sum_over_time"),
    *("max_over_time", "count_over_time", "last_over_time", "present_over_time", "stddev_over_time", "deriv"),
)
_NUMBERS = ("0.5", "2", "-1", "3.7", "100")


class HistogramGenerator(Generator):
    """Writes queries; the same seed gives the same ones."""

    def query(self) -> str:
        return self.vector(self._chance.randint(0, 3))

    def selector(self) -> str:
        name = self._pick(*_HISTOGRAMS, *_HISTOGRAMS, "requests_total", "factor")
        matchers = [self._pick(*_MATCHERS) for _ in range(self._chance.choice((0, 0, 1)))]
        return name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def _moved(self) -> str:
        return f" offset {self._pick('1m', '97s', '-1m')}" if self._maybe(0.1) else ""

    def scalar(self, depth: int) -> str:
        if depth > 0 and self._maybe(0.15):
            return f"scalar({self.vector(depth - 1)})"
        return self._pick(*_NUMBERS)

    def matrix(self, depth: int) -> str:
        if depth > 0 and self._maybe(0.2):
            return f"({self.vector(depth - 1)})[{self._pick('5m', '2m30s')}:{self._pick('30s', '1m')}]{self._moved()}"
        return f"{self.selector()}[{self._pick(*_RANGES)}]{self._moved()}"

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector() + self._moved()
        makers = (
            *(self._of_range,) * 4, *(self._aggregated,) * 4, *(self._with_scalar,) * 2, *(self._two_vectors,) * 3,
            *(self._histogram,) * 4, self._function, self._relabelled, self._special,
        )  # fmt: skip
        return self._chance.choice(makers)(depth)

    def _of_range(self, depth: int) -> str:
        inner = self.matrix(depth - 1)
        of_gauges = "queue_size" in inner  # since 3.6 a counter is not thought to have been below zero
        return f"{self._pick(*(_OF_RANGE[2:] if of_gauges else _OF_RANGE))}({inner})"

    def _grouping(self) -> str:
        if self._maybe(0.25):
            return ""
        labels = ", ".join(self._chance.sample(_LABELS, self._chance.randint(0, 2)))
        return f"{self._pick('by', 'without')} ({labels}) "

    def _aggregated(self, depth: int) -> str:
        operator = self._pick("sum", "sum", "avg", "count", "group", "min", "max", "stddev")
        return f"{operator} {self._grouping()}({self.vector(depth - 1)})"

    def _histogram(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._pick(
            f"histogram_quantile({self._pick('0', '0.2', '0.5', '0.9', '1', '2')}, {inner})",
            f"histogram_fraction({self._pick('0', '-1', '0.3')}, {self._pick('1', '2.7', '+Inf')}, {inner})",
            f"histogram_{self._pick('count', 'sum', 'avg', 'stddev', 'stdvar')}({inner})",
        )

    def _two_vectors(self, depth: int) -> str:
        left, right = f"({self.vector(depth - 1)})", f"({self.vector(depth - 1)})"
        matching = f" {self._pick('on', 'ignoring')} ({self._pick('instance', 'job, instance')})"
        matching = matching if self._maybe(0.7) else ""
        operator = self._pick("and", "or", "unless", "+", "-", "*", "/", "==", "!=", ">", "== bool", "^")
        return f"{left} {operator}{matching} {right}"

    def _function(self, depth: int) -> str:
        return f"{self._pick('abs', 'absent', 'ceil', 'timestamp', 'sgn', 'minute')}({self.vector(depth - 1)})"

    def _relabelled(self, depth: int) -> str:
        return f'label_replace({self.vector(depth - 1)}, "short", "$1", "instance", "(.*):.*")'

    def _special(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._pick(
            f"-({inner})", f"clamp({inner}, 0, 5)", f"sort({inner})",
            f"quantile by (job) (0.5, {inner})",
        )  # fmt: skip
