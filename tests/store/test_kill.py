"""A process is killed in the middle of writing: all that it had acknowledged is there."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import Floats, Times, histogram_numbers, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

WRITER = """
import asyncio, sys
import numpy as np
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import Row, histogram_cells
from watchkeeper.model.histogram import Histogram, buckets
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

async def main(start):
    db = MetricDb(RealFiles(sys.argv[1]), MetricSettings(chunk_rows=20, wal={"segment_bytes": 1 << 16}), SystemClock())
    await db.start()
    layout = db.layout("writer", [{"__name__": "written", "n": str(n)} for n in range(50)])
    native = db.layout("native", [{"__name__": "native", "n": str(n)} for n in range(5)])
    step = start
    while True:
        for _ in range(3):
            side = buckets(np.array([0, step % 7 + 1]), np.array([1.0, float(step)]))
            held = [Histogram(step + 1.0, float(n), 0, positive=side) for n in range(5)]
            cells = histogram_cells(np.arange(5))
            db.append([Row(layout, step, np.arange(50) + float(step)), Row(native, step, cells, histograms=held)])
            step += 1
        await db.commit()
        print(step - 1, flush=True)

asyncio.run(main(int(sys.argv[2])))
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged + 1000)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, "the writer did not start"
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        acknowledged = max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])
        found = asyncio.run(read(tmp_path))
        assert found[0][-1] >= acknowledged
        assert (found[1] == found[0] + np.arange(50)[:, None]).all()
        times, histograms = found[2]
        assert times[-1] >= acknowledged
        for number, row in enumerate(histograms):
            for step, one in zip(times.tolist(), row, strict=True):
                expected = (step + 1.0, float(number), [0, step % 7 + 1], [1.0, float(step)])
                assert (one.count, one.sum, one.positive.index.tolist(), one.positive.counts.tolist()) == expected
        steps = np.diff(found[0])
        assert ((steps == 1) | (steps > 900)).all()  # nothing between is missing; 1000 apart at a restart


async def read(root: Path) -> tuple[Times, Floats, tuple[Times, list[list[Histogram]]]]:
    db = MetricDb(RealFiles(root), MetricSettings(), SystemClock())
    await db.start()  # the lock of the killed process does not stand in the way
    (found,) = db.select([Matcher("__name__", "=", "written")], 0, 1 << 60)
    assert not found.gaps
    (native,) = db.select([Matcher("__name__", "=", "native")], 0, 1 << 60)
    assert is_histogram(native.values).all()
    held = [
        [native.histograms[at] for at in row] for row in histogram_numbers(native.values).reshape(native.values.shape)
    ]
    await db.stop()
    return found.times, found.values, (native.times, held)
