import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.peers import PEERS, free_port

from watchkeeper.collect.exposition import ExpositionReader
from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node import collect
from watchkeeper.exporters.node.collect import COLLECTORS

PEER = PEERS / "prometheus-node-exporter"
linux = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the host has no /proc")

FILES = {
    "proc/stat": (
        "cpu  9 9\n"
        "cpu0 100 2 300 4000 50 6 7 8 9 1\n"
        "cpu1 1 1 1 1\n"
        "intr 77 1 2\n"
        "ctxt 12345\n"
        "btime 1700000000\n"
        "processes 42\n"
        "procs_running 3\n"
        "procs_blocked 1"
    ),
    "proc/loadavg": "0.50 1.25 2.00 1/200 999",
    "proc/meminfo": "MemTotal:       1000 kB\nActive(anon):   5 kB\nHugePages_Total:       7",
    "proc/vmstat": "pgfault 10\nnr_free_pages 5\noom_kill 2",
    "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 total=9",
    "proc/net/dev": "Inter-|\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "proc/sys/fs/file-nr": "10\t0\t999",
    "proc/diskstats": (
        "   8       0 sda 1 2 4 3000 5 6 8 7000 9 10000 11\n   8 1 sda1 1 1 1 1 1 1 1 1 1 1 1\n   7 0 loop0 1 1 1"
    ),
    "proc/1/mountinfo": (
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root\\0401 rw\n"
        "22 21 0:4 / /proc rw - proc proc rw\n"
        "23 21 8:2 / /gone ro - ext4 /dev/sdb ro"
    ),
    "proc/sys/kernel/domainname": "(none)",
    "proc/sys/kernel/hostname": "box",
    "proc/sys/kernel/osrelease": "6.1",
    "proc/sys/kernel/ostype": "Linux",
    "proc/sys/kernel/version": "#1",
    "etc/os-release": 'NAME="Debian \\"x\\""\nID=debian\nVERSION_ID="12"',
    "sys/class/hwmon/hwmon0/name": "coretemp",
    "sys/class/hwmon/hwmon0/temp1_input": "45500",
    "sys/class/thermal/thermal_zone0/temp": "30000",
    "sys/class/thermal/thermal_zone0/type": "acpitz",
}


def read(body: bytes) -> dict[str, float]:
    exposed = ExpositionReader().read(body)
    return {text.decode(): float(value) for text, value in zip(exposed.shape.texts, exposed.values, strict=True)}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ('node_cpu_seconds_total{cpu="0",mode="idle"}', 40.0),
        ('node_cpu_guest_seconds_total{cpu="0",mode="user"}', 0.09),
        ("node_context_switches_total", 12345),
        ("node_boot_time_seconds", 1.7e9),
        ("node_intr_total", 77),
        ("node_load5", 1.25),
        ("node_memory_MemTotal_bytes", 1_024_000),
        ("node_memory_Active_anon_bytes", 5120),
        ("node_memory_HugePages_Total", 7),
        ("node_vmstat_oom_kill", 2),
        ("node_pressure_cpu_waiting_seconds_total", 2.5),
        ('node_network_receive_bytes_total{device="eth0"}', 1),
        ('node_network_transmit_compressed_total{device="eth0"}', 16),
        ("node_filefd_maximum", 999),
        ('node_disk_read_bytes_total{device="sda"}', 2048),
        ('node_disk_io_time_seconds_total{device="sda"}', 10),
        ('node_filesystem_readonly{device="/dev/root 1",device_error="",fstype="ext4",mountpoint="/"}', 0),
        ('node_hwmon_temp_celsius{chip="coretemp",sensor="temp1"}', 45.5),
        ('node_thermal_zone_temp{type="acpitz",zone="0"}', 30),
        ('node_scrape_collector_success{collector="cpu"}', 1),
        ('node_scrape_collector_success{collector="entropy"}', 0),
    ],
)
def test_a_host_in_a_folder_is_read(host: Path, series: str, value: float) -> None:
    assert read(collect(host))[series] == value


def test_a_mount_that_gives_no_answer_says_so(host: Path) -> None:
    found = read(collect(host))
    labels = 'device="/dev/sdb",device_error="no such file or directory",fstype="ext4",mountpoint="/gone"'
    assert found[f"node_filesystem_device_error{{{labels}}}"] == 1
    assert f"node_filesystem_size_bytes{{{labels}}}" not in found


def test_partitions_loop_devices_and_pseudo_file_systems_are_left_out(host: Path) -> None:
    body = collect(host)
    assert b"sda1" not in body
    assert b"loop0" not in body
    assert b'mountpoint="/proc"' not in body


def test_a_host_without_proc_gives_failures_and_nothing_else(tmp_path: Path) -> None:
    found = read(collect(tmp_path))
    failed = {name for name in COLLECTORS if found[f'node_scrape_collector_success{{collector="{name}"}}'] == 0}
    assert {"cpu", "meminfo", "filesystem", "netdev", "stat"} <= failed
    assert any(name.startswith("node_exporter_build_info") for name in found)


@pytest.mark.parametrize("path", sorted(FILES))
def test_odd_files_cost_their_collector_alone(host: Path, path: str) -> None:
    for text in ("", "nonsense", "a b c d e f\n\n:::\n", "\x00\xff"):
        (host / path).write_text(text)
        assert read(collect(host))['node_scrape_collector_success{collector="selinux"}'] == 1


def test_label_values_are_escaped() -> None:
    families = Families()
    families.gauge("a", "help \\ with\nnewline", float("inf"), {"b": 'quote " back \\ line\n'})
    assert (
        families.exposition()
        == b'# HELP a help \\\\ with\\nnewline\n# TYPE a gauge\na{b="quote \\" back \\\\ line\\n"} +Inf\n'
    )


def test_neither_arrays_nor_stores_are_loaded() -> None:
    code = "import sys, watchkeeper.exporters.node; assert not {'numpy', 'watchkeeper.store'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@linux
def test_it_is_cheap() -> None:
    collect()
    began = time.thread_time()
    for _ in range(5):
        collect()
    assert (time.thread_time() - began) / 5 < 0.1


def names(body: str) -> tuple[set[str], dict[str, str]]:
    series, kinds = set(), {}
    for line in body.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            kinds[name] = kind
        elif line and not line.startswith("#"):
            series.add(re.sub(r'(rotational|device_error)="[^"]*"', r"\1", line.rpartition(" ")[0]))
    return series, kinds


def of_our_collectors(series: set[str]) -> set[str]:
    foreign = re.compile(
        r"(?!node_)|node_(timex|textfile|exporter_build|schedstat|nfs|xfs|btrfs|edac|watchdog|power_supply|dmi|mdadm)"
    )
    ours = {f'"{name}"' for name in COLLECTORS}
    return {
        one
        for one in series
        if not foreign.match(one) and not (one.startswith("node_scrape_") and not any(name in one for name in ours))
    }


@linux
@pytest.mark.peer
def test_names_labels_and_types_are_those_of_the_real_exporter() -> None:
    if not PEER.exists():
        pytest.skip(f"no real node exporter at {PEER}")
    real = _ask_the_real_exporter()
    got, got_kinds = names(collect().decode())
    want, want_kinds = names(real)
    missing = of_our_collectors(want) - got
    assert not missing
    extra = {one for one in got - want if not one.startswith(("node_memory_", "node_exporter_build_info"))}
    assert not extra
    assert {name: kind for name, kind in got_kinds.items() if want_kinds.get(name, kind) != kind} == {}


def _ask_the_real_exporter() -> str:
    port = free_port()
    process = subprocess.Popen([PEER, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 20
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    return str(answer.read().decode())
            except OSError:
                assert time.monotonic() < ends, "the real node exporter did not start"
                threading.Event().wait(0.05)
    finally:
        process.terminate()
        process.wait(10)
