"""Answers to log queries in Loki's JSON, and in the columns of our own batch.

source  Loki docs, HTTP API
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from watchkeeper.query.logql.result import Effort, FoundLine, Lines, Matrix, Result
from watchkeeper.query.promql.numerals import go_float


def query_answer(result: Result, *, instant: bool, categorize: bool) -> bytes:
    """Write an answer to query or query_range.

    categorize  keep structured metadata and parsed labels apart from the stream, as Grafana asks
    """
    if isinstance(result, Lines):
        kind, rows = "streams", _streams(result.lines, categorize=categorize)
    elif result.is_scalar and instant:
        kind, rows = "scalar", _sample(result, 0)
    elif instant:
        kind, rows = "vector", [{"metric": labels, "value": _sample(result, at)} for at, labels in _present(result)]
    else:
        kind, rows = "matrix", [{"metric": labels, "values": _points(result, at)} for at, labels in _present(result)]
    data: dict[str, Any] = {"resultType": kind, "result": rows, "stats": _stats(result.effort)}
    if categorize and kind == "streams":
        data["encodingFlags"] = ["categorize-labels"]
    answer: dict[str, Any] = {"status": "success", "data": data}
    if result.effort.warnings:
        answer["warnings"] = result.effort.warnings
    return orjson.dumps(answer)


def batch_answer(result: Result, *, instant: bool) -> dict[str, Any]:
    """Give an answer as our own UI reads it: lines, or series in columns."""
    common: dict[str, Any] = {"status": "success", "warnings": result.effort.warnings}
    if isinstance(result, Lines):
        lines = [
            {"time_ns": str(line.time_ns), "labels": line.labels, "line": line.text.decode(errors="replace")}
            for line in result.lines
        ]
        return {**common, "type": "streams", "lines": lines}
    kind = "scalar" if result.is_scalar and instant else "vector" if instant else "matrix"
    series = [
        {"labels": labels, "values": [_cell(value) for value in result.values[at].tolist()]}
        for at, labels in _present(result)
    ]
    return {**common, "type": kind, "times": (result.times_ns // 1_000_000).tolist(), "series": series}


def _streams(lines: Sequence[FoundLine], *, categorize: bool) -> list[dict[str, Any]]:
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for line in lines:
        labels = line.stream if categorize else line.labels
        stream = found.setdefault(tuple(labels.items()), {"stream": labels, "values": []})
        value: list[Any] = [str(line.time_ns), line.text.decode(errors="replace")]
        if categorize:
            value.append(_categories(line))
        stream["values"].append(value)
    return list(found.values())


def _categories(line: FoundLine) -> dict[str, Mapping[str, str]]:
    parsed = {
        name: value for name, value in line.labels.items() if name not in line.stream and name not in line.metadata
    }
    return {
        name: labels for name, labels in (("structuredMetadata", dict(line.metadata)), ("parsed", parsed)) if labels
    }


def _present(matrix: Matrix) -> list[tuple[int, Mapping[str, str]]]:
    alive = ~np.isnan(matrix.values).all(axis=1) if len(matrix.labels) else np.zeros(0, np.bool_)
    return [(at, matrix.labels[at]) for at in np.flatnonzero(alive).tolist()]


def _sample(matrix: Matrix, at: int) -> list[Any]:
    return [_seconds(int(matrix.times_ns[-1])), go_float(float(matrix.values[at, -1]))]


def _points(matrix: Matrix, at: int) -> list[list[Any]]:
    values = matrix.values[at]
    places = np.flatnonzero(~np.isnan(values))
    times = (matrix.times_ns[places] / 1e9).tolist()
    return [
        [int(time) if time.is_integer() else round(time, 3), go_float(value)]
        for time, value in zip(times, values[places].tolist(), strict=True)
    ]


def _seconds(time_ns: int) -> float | int:
    return time_ns // 1_000_000_000 if time_ns % 1_000_000_000 == 0 else round(time_ns / 1e9, 3)


def _cell(value: float) -> float | str | None:
    if value != value:  # noqa: PLR0124 NaN, which stands for no value
        return None
    return go_float(value) if value in (float("inf"), float("-inf")) else value


def _stats(effort: Effort) -> dict[str, Any]:
    seconds = max(effort.seconds, 1e-9)
    return {
        "summary": {
            "bytesProcessedPerSecond": int(effort.bytes / seconds),
            "linesProcessedPerSecond": int(effort.lines / seconds),
            "totalBytesProcessed": effort.bytes,
            "totalLinesProcessed": effort.lines,
            "execTime": effort.seconds,
            "queueTime": 0,
            "subqueries": 0,
            "totalEntriesReturned": effort.lines_found,
            "splits": 0,
            "shards": 0,
            "totalPostFilterLines": effort.lines_found,
            "totalStructuredMetadataBytesProcessed": 0,
        },
        "querier": {"store": {"totalChunksRef": effort.blocks, "totalChunksDownloaded": effort.blocks}},
        "ingester": {},
        "cache": {},
        "index": {},
    }
