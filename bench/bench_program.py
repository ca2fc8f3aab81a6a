"""The whole program beside the real Prometheus: CPU per scraped sample, resident memory, and memory when idle.

Both are started as their users start them, on the same targets at the same interval, in the same minute; the targets
are served by a process of their own, whose work is not counted.

    python -m bench.bench_program [--targets 50] [--series 500] [--interval 1] [--seconds 20]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from bench.bench_scrape import PEERS, cpu_of, read_options, start_prometheus, targets_served

_WARM_UP_S = 20


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def start_watchkeeper(config: dict[str, object], folder: Path) -> subprocess.Popen[bytes]:
    (folder / "config").mkdir()
    (folder / "config" / "prometheus.yml").write_bytes(orjson.dumps(config))
    where = ["--config", str(folder / "config"), "--data", str(folder / "data"), "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "watchkeeper.app", "up", *where, "--log-level", "error"]
    environ = {**os.environ, "WATCHKEEPER_ADMIN_PASSWORD": "benchmark"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once, not at every start
    return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)


def main() -> None:
    options = read_options(__doc__)
    with targets_served(options) as config, tempfile.TemporaryDirectory() as folder:
        ours_in, theirs_in = Path(folder) / "ours", Path(folder) / "theirs"
        ours_in.mkdir()
        theirs_in.mkdir()
        ours = start_watchkeeper(config, ours_in)
        theirs, _ = start_prometheus(config, theirs_in)
        try:
            time.sleep(_WARM_UP_S)
            before = cpu_of(ours.pid), cpu_of(theirs.pid)
            time.sleep(options.seconds)
            used = cpu_of(ours.pid) - before[0], cpu_of(theirs.pid) - before[1]
            memory = resident_mib(ours.pid), resident_mib(theirs.pid)
        finally:
            for process in (ours, theirs):
                process.terminate()
                process.wait()
    samples = options.targets * options.series * options.seconds / options.interval
    print(f"{options.targets} targets x {options.series} series every {options.interval:g} s, {options.seconds:g} s")
    print(f"{'':28}{'watchkeeper':>12}{'Prometheus':>12}{'ratio':>8}{'budget':>8}")
    rows = (
        ("CPU s per million samples", used[0] / samples * 1e6, used[1] / samples * 1e6, "0.5"),
        ("resident MiB", *memory, ""),
    )
    for name, mine, peer, budget in rows:
        print(f"{name:28}{mine:12.2f}{peer:12.2f}{mine / peer:8.2f}{budget:>8}")


if __name__ == "__main__":
    assert (PEERS / "prometheus").exists(), f"no Prometheus in {PEERS}: run tools/test-servers"
    main()
