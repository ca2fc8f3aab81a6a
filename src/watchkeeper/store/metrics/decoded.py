"""What readers decoded lately: a dashboard asks for the same sealed samples again at every refresh."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.clock import Clock
from watchkeeper.model.frame import Floats
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.metrics.chunk import Chunk, Columns

_IDLE_S = 300.0
_FRESH_S = 60.0  # what was used within a refresh or two gives way to nothing
_ENTRY_BYTES = 300  # of Python objects around an array

DECODED_BYTES = gauge("watchkeeper_metrics_decoded_bytes", "Decoded samples that are kept for the next query.")
_READS = counter(
    "watchkeeper_metrics_chunk_reads", "Reads of compressed chunks, by whether they were decoded already.", ("from",)
)
_KEPT, _DECODED = _READS.labels("kept"), _READS.labels("decoded")


@dataclass(slots=True)
class _Entry:
    values: Floats
    gaps: bool
    size_bytes: int
    used_s: float


class DecodedChunks:
    """Some columns of some chunks as plain numbers. Safe from any thread.

    The least recently used go first; but a query over more than fits does not push out, at every refresh, what the
    next one needs: what was used a moment ago stays, and what finds no room is decoded each time.

    bytes_max  0: nothing is kept
    """

    def __init__(self, bytes_max: int, clock: Clock) -> None:
        self._bytes_max, self._clock = bytes_max, clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[int, bytes], tuple[Chunk, _Entry]] = OrderedDict()
        self.size_bytes = 0

    def read(self, chunk: Chunk, wanted: Columns, low: int, high: int) -> tuple[Floats, bool]:
        """Give rows low…high of some columns, shared and not to be changed, and whether there may be gaps.

        wanted  ascending, at least one
        """
        size = len(wanted) * (chunk.n_rows * 8 + wanted.itemsize) + _ENTRY_BYTES
        if 8 * size > self._bytes_max:
            _DECODED.inc()
            values = np.empty((len(wanted), high - low))
            return values, chunk.read(wanted, low, high, values)
        now_s = self._clock.monotonic_s()
        key = (id(chunk), wanted.tobytes())  # the entry holds the chunk: its id stays its own
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
        if found is None:
            values = np.empty((len(wanted), chunk.n_rows))
            entry = _Entry(values, chunk.read(wanted, 0, chunk.n_rows, values), size, now_s)
            values.flags.writeable = False
            self._keep(key, chunk, entry)
            _DECODED.inc()
        else:
            entry = found[1]
            entry.used_s = now_s
            _KEPT.inc()
        return entry.values if high - low == chunk.n_rows else entry.values[:, low:high], entry.gaps

    def _keep(self, key: tuple[int, bytes], chunk: Chunk, entry: _Entry) -> None:
        with self._lock:
            if key in self._entries:  # another thread was faster
                return
            while self.size_bytes + entry.size_bytes > self._bytes_max:
                if next(iter(self._entries.values()))[1].used_s > entry.used_s - _FRESH_S:
                    return
                self._drop_oldest()
            self._entries[key] = chunk, entry
            self.size_bytes += entry.size_bytes

    def _drop_oldest(self) -> None:
        _, (_, entry) = self._entries.popitem(last=False)
        self.size_bytes -= entry.size_bytes

    def drop_idle(self) -> None:
        """Let go of what nobody asked for lately."""
        before_s = self._clock.monotonic_s() - _IDLE_S
        with self._lock:
            while self._entries and next(iter(self._entries.values()))[1].used_s < before_s:
                self._drop_oldest()
        DECODED_BYTES.set(self.size_bytes)
