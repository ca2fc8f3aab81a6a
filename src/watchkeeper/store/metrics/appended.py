"""What became of the samples of an append: told to the sender, and counted."""

from collections.abc import Sequence

from watchkeeper.model.frame import Appended, Refusal
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.frame import Verdict

_EXAMPLES_MAX = 10

APPENDED = counter("prometheus_tsdb_head_samples_appended", "Samples appended.")
OUT_OF_ORDER = counter("prometheus_tsdb_out_of_order_samples", "Samples refused as out of order.")
REFUSED = counter("watchkeeper_samples_refused", "Samples refused, by reason.", ("reason",))
DUPLICATES = counter("watchkeeper_samples_duplicate", "Samples ignored because they were stored already.")


def sum_up(verdicts: Sequence[Verdict]) -> Appended:
    """Say what became of the rows of an append."""
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
    duplicates = sum(verdict.duplicates for verdict in verdicts)
    APPENDED.inc(stored)
    if duplicates:
        DUPLICATES.inc(duplicates)
    for reason, number in refused.items():
        REFUSED.labels(reason.partition(":")[0]).inc(number)
    return Appended(stored, sum(verdict.added for verdict in verdicts), duplicates, refused, tuple(examples))
