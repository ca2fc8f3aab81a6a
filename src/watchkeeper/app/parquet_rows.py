"""Histories as rows of a Parquet file: name, labels (JSON, without the name), timestamp, value."""

from typing import BinaryIO

import numpy as np
import orjson

from watchkeeper.model.frame import is_stale
from watchkeeper.model.history import History
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.net.parquet import ParquetWriter, Texts

_COLUMNS = (("name", "text"), ("labels", "text"), ("timestamp", "time"), ("value", "number"))


class ParquetRows:
    """Writes histories into a file, each as a row group."""

    def __init__(self, file: BinaryIO) -> None:
        self._writer = ParquetWriter(file, _COLUMNS)

    def add(self, history: History) -> int:
        """Write all samples, staleness markers left out; gives how many there are."""
        kept = history.only(~is_stale(history.values))
        owners = kept.owners()
        names = [labels.get(METRIC_NAME, "") for labels in kept.series]
        distinct = {name: at for at, name in enumerate(dict.fromkeys(names))}
        place_of = [distinct[name] for name in names]
        rest = [
            orjson.dumps({key: text for key, text in sorted(labels.items()) if key != METRIC_NAME}).decode()
            for labels in kept.series
        ]
        columns = (
            Texts(list(distinct), np.array(place_of, np.int64)[owners]),
            Texts(rest, owners),
            kept.times,
            kept.values,
        )
        self._writer.write(columns)
        return len(owners)

    def finish(self) -> None:
        """Write the file's end."""
        self._writer.finish()
