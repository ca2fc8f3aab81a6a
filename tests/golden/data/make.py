"""Write a data directory as this version of the program does, and what it answers: the golden directories beside this.

Each format that was ever released has one, made by a program of that time; they are opened by tests and never changed.

    PYTHONPATH=<source of that version> python tests/golden/data/make.py tests/golden/data/metrics-<format>
    PYTHONPATH=<source of that version> python tests/golden/data/make.py tests/golden/data/metrics-histograms-<format>
    PYTHONPATH=<source of that version> python tests/golden/data/make.py tests/golden/data/logs-<version of blocks>
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.model.frame import (
    ABSENT_BITS,
    STALE,
    MetricMetadata,
    Row,
    histogram_cells,
    histogram_numbers,
    is_histogram,
)
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Hint, Histogram, buckets
from watchkeeper.model.logs import Entries
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

START_MS = 1_700_006_400_000
HOURS = 60
EVER = (0, 1 << 62)


class Clock:
    """Stands still at the end of the data."""

    def now_ms(self) -> int:
        return START_MS + HOURS * 3_600_000

    def monotonic_s(self) -> float:
        return 1000.0


def told(db: MetricDb) -> dict[str, Any]:
    """Give what a store holds: a digest of the bits of all samples, and what else it is asked."""
    found = {}
    for part in db.select([Matcher("__name__", "=~", ".+")], *EVER):
        for labels, row in zip(part.labels.labels(), part.values.view(np.uint64).tolist(), strict=True):
            pairs = zip(part.times.tolist(), row, strict=True)
            cells = [[t, b] for t, b in pairs if b != ABSENT_BITS]
            if part.histograms:
                cells = [[t, _native(part.histograms, b)] for t, b in cells]
            found[json.dumps(labels, sort_keys=True)] = cells
    text = json.dumps(found, sort_keys=True).encode()
    return {
        "series": len(found),
        "samples": sum(map(len, found.values())),
        "digest": blake2b(text, digest_size=16).hexdigest(),
        "names": db.label_values("__name__", [], *EVER),
        "help": {name: [said.help for said in known] for name, known in sorted(dict(db.metadata()).items())},
    }


def _native(held: Sequence[Histogram], bits: int) -> Any:
    """Give what a cell says: its bits, or all of the histogram that it stands for."""
    cell = np.array([bits], np.uint64).view(np.float64)
    if not is_histogram(cell)[0]:
        return bits
    one = held[int(histogram_numbers(cell)[0])]
    sides = [[*map(list, (side.index.tolist(), side.counts.tolist()))] for side in (one.positive, one.negative)]
    numbers = [one.count, one.sum, one.schema, one.zero_threshold, one.zero_count, int(one.hint)]
    return [*numbers, sides, one.bounds.tolist()]


def fill_histograms(db: MetricDb, hours: range) -> None:
    """Store native histograms: counters, gauges, custom buckets, and floats between them."""
    layout = db.layout("scrape/native", [{"__name__": f"h{at}", "instance": "a"} for at in range(4)])
    for minute in range(hours.start * 60, hours.stop * 60, 7):
        grown = float(minute % 500)
        side = buckets(np.array([-3, 0, 5]), np.array([grown, 2.0, 1.0]))
        made = [
            Histogram(grown + 4, minute / 4, 2, 0.001, 1.0, side),
            Histogram(grown + 3, -1.5, -1, negative=side, hint=Hint.GAUGE),
            Histogram(
                grown + 2,
                0.0,
                CUSTOM_BUCKETS,
                positive=buckets(np.arange(2), np.array([grown, 2.0])),
                bounds=np.array([0.5, 2.5]),
            ),
        ]
        cells = np.append(histogram_cells(np.arange(3)), grown)
        if minute % 5 == 0:
            cells[2] = STALE
        db.append([Row(layout, START_MS + minute * 60_000, cells, True, histograms=made)])


def fill(db: MetricDb, hours: range) -> None:
    """Store samples of two targets: counters that restart, gauges, NaN and infinite values, one target that changes."""
    layout = db.layout("scrape/api", [{"__name__": f"m{at}", "instance": "a", "café": "ü"} for at in range(6)])
    late = db.layout("scrape/api", [{"__name__": f"m{at}", "instance": "a", "café": "ü"} for at in range(4)])
    other = db.layout("push/job", [{"__name__": "pushed", "n": str(at)} for at in range(3)])
    db.describe({"m0": MetricMetadata("counter", "Things done."), "m1": MetricMetadata("gauge", "", "bytes")})
    for minute in range(hours.start * 60, hours.stop * 60, 3):
        chance = np.random.default_rng(minute)
        values = np.round(np.arange(6) * 1000.0 + minute % 700 + chance.random(6), 2)
        values[0] = minute % 500
        values[2] = (np.nan, np.inf, -0.0, STALE, 1e-310)[minute % 5]
        changed = minute % 720 >= 360
        row = Row(late, START_MS + minute * 60_000, values[:4].copy(), True) if changed else None
        db.append([row or Row(layout, START_MS + minute * 60_000, values, True)])
        db.append([Row(other, START_MS + minute * 60_000 + 777, np.arange(3.0) + minute)])


async def write(folder: Path) -> None:
    """Make the directory and its answers."""
    said: dict[str, Any] = {"retention_ms": 3650 * 86_400_000, "wal": {"segment_bytes": 1 << 14}}
    if "downsample" in MetricSettings.model_fields:
        said["downsample"] = [{"every": "1h", "after": "1d", "keep": "3650d"}]
    db = MetricDb(RealFiles(folder / "data"), MetricSettings.model_validate(said), Clock())
    await db.start()
    store = fill_histograms if "histograms" in folder.name else fill
    store(db, range(HOURS - 2))
    if hasattr(db, "flush"):
        await db.keep_up()
        await db.delete_series([[Matcher("n", "=", "1")]], START_MS, START_MS + 3_600_000)
    store(db, range(HOURS - 2, HOURS))
    await db.commit()
    (folder / "answers.json").write_text(json.dumps(told(db), indent=1, ensure_ascii=False) + "\n", "utf-8")
    await db.stop()


def told_lines(db: LogDb) -> dict[str, Any]:
    """Give what a log store holds: a digest of all lines with their streams and times."""
    found: dict[str, list[list[Any]]] = {}
    for block in db.select([Matcher("job", "=~", ".+")], 0, 1 << 62):
        starts, body = block.starts().tolist(), block.text()
        lines = [body[low : high - 1].decode() for low, high in pairwise(starts)]
        found.setdefault(json.dumps(dict(block.labels), sort_keys=True), []).extend(
            [time, line] for time, line in zip(block.times().tolist(), lines, strict=True)
        )
    text = json.dumps({key: sorted(lines) for key, lines in found.items()}, sort_keys=True)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return {"streams": len(found), "lines": sum(map(len, found.values())), "digest": digest}


async def write_lines(folder: Path) -> None:
    """Make a directory of logs and its answers: lines in blocks, and lines in the log alone."""
    settings = LogSettings.model_validate({"wal": {"segment_bytes": 1 << 16}})
    db = LogDb(RealFiles(folder / "data"), settings, Clock())
    await db.start()
    for batch in range(20):
        first_ns = (START_MS + (HOURS - 1) * 3_600_000 + batch * 60_000) * 1_000_000
        times = [first_ns + at * 1_000_000 for at in range(50)]
        for job in ("api", "café"):
            lines = [f'{{"n": {at}, "batch": {batch}, "text": "ünïcode \\t {job}"}}'.encode() for at in range(50)]
            db.append([Entries({"job": job, "level": "info"}, times, lines)])
        if batch == 14:
            await db.cut(everything=True)
    await db.commit()
    (folder / "answers.json").write_text(json.dumps(told_lines(db), indent=1) + "\n", "utf-8")
    await db.stop()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    asyncio.run(write_lines(target) if target.name.startswith("logs") else write(target))
