"""What became of the samples of an append: told to the sender, and counted."""

from collections.abc import Sequence

from watchkeeper.model.frame import Appended, Refusal, is_histogram
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.frame import OUT_OF_BOUNDS, OUT_OF_ORDER, Verdict

_EXAMPLES_MAX = 10

APPENDED = counter("prometheus_tsdb_head_samples_appended", "Total number of appended samples.", ("type",))
_FLOATS, _HISTOGRAMS = APPENDED.labels("float"), APPENDED.labels("histogram")
_NOT_TAKEN = {
    OUT_OF_ORDER: counter(
        "prometheus_tsdb_out_of_order_samples",
        "Total number of out of order samples ingestion failed attempts due to out of order being disabled.",
        ("type",),
    ).labels("float"),
    OUT_OF_BOUNDS: counter(
        "prometheus_tsdb_out_of_bound_samples",
        "Total number of out of bound samples ingestion failed attempts with out of order support disabled.",
        ("type",),
    ).labels("float"),
}
REFUSED = counter("watchkeeper_samples_refused", "Samples refused, by reason.", ("reason",))
DUPLICATES = counter("watchkeeper_samples_duplicate", "Samples ignored because they were stored already.")


def sum_up(verdicts: Sequence[Verdict], *, with_histograms: bool) -> Appended:
    """Say what became of the rows of an append.

    with_histograms  whether any of them may hold one
    """
    refused: dict[str, int] = {}
    examples: list[Refusal] = []
    for verdict in verdicts:
        for reason, number in verdict.over.items():
            refused[reason] = refused.get(reason, 0) + number
        for reason, places in verdict.refused:
            refused[reason] = refused.get(reason, 0) + len(places)
            columns = verdict.layout.columns[places[: _EXAMPLES_MAX - len(examples)]]
            table = verdict.layout.frame.index.table
            examples += [Refusal(reason, labels) for labels in table.take(columns).labels()]
    stored = sum(verdict.stored for verdict in verdicts)
    histograms = sum(int(is_histogram(verdict.values).sum()) for verdict in verdicts) if with_histograms else 0
    duplicates = sum(verdict.duplicates for verdict in verdicts)
    _FLOATS.inc(stored - histograms)
    if histograms:
        _HISTOGRAMS.inc(histograms)
    if duplicates:
        DUPLICATES.inc(duplicates)
    for reason, number in refused.items():
        REFUSED.labels(reason.partition(":")[0]).inc(number)
        if reason in _NOT_TAKEN:
            _NOT_TAKEN[reason].inc(number)
    return Appended(stored, sum(verdict.added for verdict in verdicts), duplicates, refused, tuple(examples))
