"""Runs every collector; one that fails costs the others nothing."""

import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from watchkeeper import __version__
from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node import disks, memory, network, processor, sensors, system
from watchkeeper.exporters.node.host import Host, NotHere

Collector = Callable[[Host, Families], None]

COLLECTORS: Mapping[str, Collector] = {
    "arp": network.arp,
    "conntrack": network.conntrack,
    "cpu": processor.cpu,
    "cpufreq": processor.cpufreq,
    "diskstats": disks.diskstats,
    "entropy": system.entropy,
    "filefd": system.filefd,
    "filesystem": disks.filesystem,
    "hwmon": sensors.hwmon,
    "kernel_hung": system.kernel_hung,
    "loadavg": processor.loadavg,
    "meminfo": memory.meminfo,
    "netclass": network.netclass,
    "netdev": network.netdev,
    "netstat": network.netstat,
    "os": system.os_release,
    "pressure": processor.pressure,
    "selinux": system.selinux,
    "sockstat": network.sockstat,
    "softnet": network.softnet,
    "stat": processor.stat,
    "thermal_zone": sensors.thermal_zone,
    "time": system.clock,
    "udp_queues": network.udp_queues,
    "uname": system.uname,
    "vmstat": memory.vmstat,
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def collect(root: Path = Path("/")) -> bytes:
    """Give the host's metrics in text exposition format; never raises, takes a few milliseconds.

    root    where the host's proc, sys and etc lie, for containers and tests
    source  node exporter 1.11: names, labels and types; every collector says whether it succeeded
    """
    host, families = Host(root), Families()
    outcomes = [(name, *_run(collector, host, families)) for name, collector in COLLECTORS.items()]
    for name, seconds, _ in outcomes:
        families.gauge(
            "node_scrape_collector_duration_seconds", "How long a collector took.", seconds, {"collector": name}
        )
    for name, _, success in outcomes:
        families.gauge("node_scrape_collector_success", "Whether a collector succeeded.", success, {"collector": name})
    families.gauge("node_exporter_build_info", "The program that gives these metrics; always 1.", 1, _build())
    return families.exposition()


def _run(collector: Collector, host: Host, families: Families) -> tuple[float, int]:
    began = time.perf_counter()
    own = Families()
    try:
        collector(host, own)
        success = 1
    except (NotHere, OSError, ValueError, IndexError, KeyError):
        success = 0  # a kernel that writes its files otherwise: the others go on
    families.join(own)
    return time.perf_counter() - began, success


def _build() -> dict[str, str]:
    machine = platform.machine()
    return {
        "branch": "",
        "goarch": _ARCHITECTURES.get(machine, machine),
        "goos": sys.platform,
        "goversion": "",
        "revision": "watchkeeper",
        "tags": "",
        "version": __version__,
    }
