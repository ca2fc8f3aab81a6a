"""What the process says about itself beyond its stages' counters: memory, files, build; read at each scrape."""

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import watchkeeper
from watchkeeper.model.metrics import REGISTRY

_STARTED_S = time.time()


class ProcessReadings(Collector):
    """The process_* metrics of every Prometheus client, and watchkeeper_build_info."""

    def collect(self) -> Iterator[Metric]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            "process_cpu_seconds", "User and system CPU time spent.", usage.ru_utime + usage.ru_stime
        )
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size.", resident_bytes())
        yield GaugeMetricFamily("process_start_time_seconds", "Unix time at which the process started.", _STARTED_S)
        yield GaugeMetricFamily("process_max_fds", "Most files it may open.", _files_max())
        yield GaugeMetricFamily("process_threads", "Threads in the process.", threading.active_count())
        if (open_files := _open_files()) is not None:
            yield GaugeMetricFamily("process_open_fds", "Files it has open.", open_files)
        build = GaugeMetricFamily(
            "watchkeeper_build_info", "Constant 1; labels tell the version.", labels=["version", "pythonversion"]
        )
        build.add_metric([watchkeeper.__version__, platform.python_version()], 1)
        yield build


def resident_bytes() -> float:
    """Give the process's resident memory; on systems without /proc, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _files_max() -> float:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return None


def register_readings() -> None:
    """Add the readings to the process's metrics, once."""
    if not getattr(register_readings, "done", False):
        REGISTRY.register(ProcessReadings())
        register_readings.done = True  # type: ignore[attr-defined]
