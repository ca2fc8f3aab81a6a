"""info(): labels of info series (target_info, build_info, …) for the series of the same instance and job.

source  Prometheus 3.x, promql/info.go
"""

from collections.abc import Iterator, Sequence

import numpy as np

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.labels import METRIC_NAME, Ints, LabelTable
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.query.promql import select
from watchkeeper.query.promql.ast import At, Call, Expr, Subquery, VectorSelector, ms
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.matrix import Mask, Vector, ever, group, unique_series

_IDENTIFYING = ("instance", "job")
_DEFAULT = Matcher(METRIC_NAME, "=", "target_info")
_ANY_INFO = Matcher(METRIC_NAME, "=~", ".+_info")


def info(query: Query, node: Call, base: Vector, steps: Steps) -> Vector:
    """Add the labels of info series to a vector.

    raises  BadQuery when two info series of one metric, or labels of two metrics, contradict each other
    """
    data, names = _matchers(node)
    ignored = match_table(names, base.labels) if METRIC_NAME in base.labels.names else np.zeros(len(base.labels), bool)
    at, offset_ms = _moment(node.args[0]) or (None, 0)
    wanted = VectorSelector(node.start, node.end, "", (*names, *data), offset_ms, at)
    found = select.select_times(query, wanted, steps)
    if query.histograms:
        _refuse_histograms(query, select.select_vector(query, wanted, steps))
    required = any(not one.matches_empty for one in data)
    rest = base.take(np.nonzero(~ignored)[0])
    pieces = [base.take(np.nonzero(ignored)[0]), *_enriched(query, rest, found, {one.name for one in data}, required)]
    labels = query.joined([piece.labels for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces])
    present = np.concatenate([piece.present for piece in pieces])
    seen = ever(present)
    return unique_series(Vector(labels.take(seen), values[seen], present[seen]))


def _refuse_histograms(query: Query, found: Vector) -> None:
    which = query.histograms.where(found.values, found.present)
    if which is not None:
        name = found.labels.take(ever(which)).values(METRIC_NAME)[0]
        raise BadQuery(f"this should be an info metric, with float samples: {name}")


def _matchers(node: Call) -> tuple[tuple[Matcher, ...], tuple[Matcher, ...]]:
    """Give the matchers of data labels, and those of the info metrics' names."""
    given: tuple[Matcher, ...] = ()
    if len(node.args) > 1:
        selector = node.args[1]
        if not isinstance(selector, VectorSelector):
            raise BadQuery("expected label selectors only")
        given = selector.matchers
    names = tuple(one for one in given if one.name == METRIC_NAME)
    if not names:
        names = (_DEFAULT,)
    elif all(one.op in ("!=", "!~") for one in names):
        names = (*names, _ANY_INFO)
    return tuple(one for one in given if one.name != METRIC_NAME), names


def _moment(expr: Expr, at: At = None, offset_ms: int = 0) -> tuple[At, int] | None:
    """Give the @ and the offset of the first selector, with those of subqueries around it."""
    if isinstance(expr, VectorSelector | Subquery):
        at, offset_ms = (at, offset_ms + ms(expr.offset_ms)) if expr.at is None else (expr.at, ms(expr.offset_ms))
    if isinstance(expr, VectorSelector):
        return at, offset_ms
    found = (_moment(child, at, offset_ms) for child in expr.children)
    return next((one for one in found if one is not None), None)


def _enriched(query: Query, base: Vector, found: Vector, wanted: set[str], required: bool) -> Iterator[Vector]:
    """Give the base series by what they are told at each step."""
    ids, _ = group(query.joined([base.labels.keep(_IDENTIFYING), found.labels.keep(_IDENTIFYING)]))
    mine, theirs = ids[: len(base.labels)], ids[len(base.labels) :]
    for thing in np.unique(mine).tolist():
        rows = np.nonzero(mine == thing)[0]
        series = base.take(rows)
        for told, steps in _told(found, np.nonzero(theirs == thing)[0], base.present.shape[1]):
            if not told and required:
                continue
            labels = _with_labels(series.labels, found.labels, told, wanted)
            yield Vector(labels, series.values, series.present & steps[None, :])


def _told(found: Vector, which: Ints, steps: int) -> Iterator[tuple[Sequence[int], Mask]]:
    """Give the info series (one a metric) that speak at a step, and at which steps it is these."""
    metrics = found.labels.column(METRIC_NAME)[which]
    chosen = np.full((len(np.unique(metrics)), steps), -1, np.int64)
    for at, metric in enumerate(np.unique(metrics).tolist()):
        own = which[metrics == metric]
        times = np.where(found.present[own], found.values[own], -np.inf)
        newest = times.max(axis=0)
        _check_alone(found.labels, own, times, newest)
        chosen[at] = np.where(newest > -np.inf, own[times.argmax(axis=0)], -1)
    combinations, inverse = np.unique(chosen, axis=1, return_inverse=True)
    for at in range(combinations.shape[1]):
        told = [number for number in combinations[:, at].tolist() if number >= 0]
        yield told, inverse.reshape(-1) == at


def _check_alone(labels: LabelTable, own: Ints, times: "np.typing.NDArray[np.float64]", newest: Ints) -> None:
    doubles = ((times == newest) & (newest > -np.inf)).sum(axis=0) > 1
    if doubles.any():
        step = int(np.argmax(doubles))
        same = own[times[:, step] == newest[step]][:2]
        shown = [", ".join(f'{name}="{value}"' for name, value in one.items()) for one in labels.take(same).labels()]
        raise BadQuery(f"found duplicate series for info metric: existing {{{shown[0]}}}, new {{{shown[1]}}}")


def _with_labels(labels: LabelTable, infos: LabelTable, told: Sequence[int], wanted: set[str]) -> LabelTable:
    """Add what the info series say to labels that do not have it."""
    added: dict[str, int] = {}
    for number in told:
        for name, codes in zip(infos.names, infos.codes, strict=True):
            code = int(codes[number])
            if code == 0 or name == METRIC_NAME or name in _IDENTIFYING or (wanted and name not in wanted):
                continue
            if added.setdefault(name, code) != code:
                raise BadQuery(f"conflicting label: {name}")
    for name, code in added.items():
        own = labels.column(name)
        labels = labels.replaced(name, np.where(own == 0, np.int32(code), own).astype(np.int32))
    return labels
