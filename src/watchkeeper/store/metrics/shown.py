"""Prometheus' own gauges of its head and blocks, read when they are asked for."""

from watchkeeper.model.metrics import gauge
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.frame import LATE_MS
from watchkeeper.store.metrics.frames import Frames
from watchkeeper.store.settings import MetricSettings
from watchkeeper.store.wal import Wal

_MIN = gauge("prometheus_tsdb_head_min_time", "Minimum time bound of the head block.")
_MAX = gauge("prometheus_tsdb_head_max_time", "Maximum timestamp of the head block.")
_MIN_S = gauge("prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.")
_MAX_S = gauge("prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.")
_LOWEST = gauge("prometheus_tsdb_lowest_timestamp", "Lowest timestamp value stored in the database.")
_LOWEST_S = gauge("prometheus_tsdb_lowest_timestamp_seconds", "Lowest timestamp value stored in the database.")
_LIMIT_S = gauge("prometheus_tsdb_retention_limit_seconds", "How long to retain samples in storage.")
_LIMIT_BYTES = gauge(
    "prometheus_tsdb_retention_limit_bytes",
    "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
)
_WAL_BYTES = gauge("prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory.")
REPLAY_S = gauge("prometheus_tsdb_data_replay_duration_seconds", "Time taken to replay the data on disk.")
_CHUNKS = gauge("prometheus_tsdb_head_chunks", "Total number of chunks in the head block.")


def show(frames: Frames, blocks: Blocks, wal: Wal, settings: MetricSettings) -> None:
    """Let the gauges tell of a store from now on; 0 where it is empty."""

    def head_start_ms() -> int:
        oldest = min((frame.oldest_ms for frame in frames.all()), default=LATE_MS)
        return 0 if oldest == LATE_MS else oldest

    def lowest_ms() -> int:
        known = [block.first_ms for block in blocks.all()] + ([head_start_ms()] if head_start_ms() else [])
        return min(known, default=0)

    _MIN.set_function(head_start_ms)
    _MIN_S.set_function(lambda: head_start_ms() // 1000)
    _MAX.set_function(frames.newest_ms)
    _MAX_S.set_function(lambda: frames.newest_ms() // 1000)
    _LOWEST.set_function(lowest_ms)
    _LOWEST_S.set_function(lambda: lowest_ms() // 1000)
    _LIMIT_S.set(settings.retention_ms / 1000)
    _LIMIT_BYTES.set(settings.retention_bytes)
    _WAL_BYTES.set_function(lambda: wal.size_bytes)
    _CHUNKS.set_function(lambda: _chunks(frames))


def _chunks(frames: Frames) -> int:
    """Count a chunk for each column of each sealed one, and for each column of the open rows, as the census does."""
    views = [frame.view for frame in frames.all()]
    return sum(len(chunk.columns) for view in views for strip in view.strips for chunk in strip.chunks) + frames.series
