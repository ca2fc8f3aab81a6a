"""What the process says about itself beyond its stages' counters: memory, files, build; read at each scrape."""

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import watchkeeper
from watchkeeper.model.metrics import REGISTRY

_STARTED_S = time.time()
_registered: "list[ProcessReadings]" = []


class ProcessReadings(Collector):
    """The process_* metrics of every Prometheus client, and what was built and whether it is ready.

    ready  says whether everything has started
    """

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready

    def collect(self) -> Iterator[Metric]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            "process_cpu_seconds", "Total user and system CPU time spent in seconds.", usage.ru_utime + usage.ru_stime
        )
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes())
        yield GaugeMetricFamily(
            "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", _STARTED_S
        )
        yield GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", _files_max())
        yield GaugeMetricFamily("process_threads", "Threads in the process.", threading.active_count())
        if (open_files := _open_files()) is not None:
            yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", open_files)
        build = GaugeMetricFamily(
            "watchkeeper_build_info", "Constant 1; labels tell the version.", labels=["version", "pythonversion"]
        )
        build.add_metric([watchkeeper.__version__, platform.python_version()], 1)
        yield build
        yield _prometheus_build()
        told = "Whether Prometheus startup was fully completed and the server is ready for normal operation."
        yield GaugeMetricFamily("prometheus_ready", told, float(self.ready()))


def _prometheus_build() -> Metric:
    """Give what dashboards of Prometheus look for to find its instances."""
    values = {
        "version": watchkeeper.__version__,
        "revision": f"watchkeeper-{watchkeeper.__version__}",
        "branch": "HEAD",
        "goversion": "",
        "goos": sys.platform,
        "goarch": platform.machine(),
        "tags": "",
    }
    told = "A metric with a constant '1' value labeled by version, revision and branch, as Prometheus has it."
    build = GaugeMetricFamily("prometheus_build_info", told, labels=[*values])
    build.add_metric([*values.values()], 1)
    return build


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


def register_readings(ready: Callable[[], bool]) -> None:
    """Add the readings to the process's metrics, once; the last who says whether it is ready counts."""
    if not _registered:
        _registered.append(ProcessReadings(ready))
        REGISTRY.register(_registered[0])
    _registered[0].ready = ready
