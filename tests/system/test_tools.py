"""promtool and amtool, the real ones, against the real process with authentication on."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tests.system.programs import PROGRAM, Watchkeeper, peer
from tests.system.remote_write import write_request
from tests.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.peer, pytest.mark.xdist_group("system")]


@pytest.fixture
def system(watchkeeper: Callable[..., Watchkeeper], tmp_path: Path) -> Watchkeeper:
    process = watchkeeper()
    process.start()
    process.key = process.make_key("admin")
    options = {"authorization": {"credentials": process.key}}
    (tmp_path / "http.yml").write_bytes(orjson.dumps(options))
    return process


def _run(program: str, *words: str) -> str:
    done = subprocess.run([peer(program), *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_promtool_queries(system: Watchkeeper, tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000 - 60_000
    counts = [(now_ms + at * 1000, float(at)) for at in range(60)]
    body = write_request([({"__name__": "steps_total", "job": "walk", "le": "+Inf"}, counts)])
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    assert system.ask("/api/v1/write", method="POST", body=body, headers=headers)[0] in (200, 204)
    ask = ("query", f"--http.config.file={tmp_path / 'http.yml'}")

    instant = _run("promtool", *ask[:1], "instant", *ask[1:], system.url, "steps_total")
    assert instant.startswith('steps_total{job="walk", le="+Inf"} => 59 @[')
    times = (f"--start={counts[10][0] // 1000}", f"--end={counts[-1][0] // 1000}", "--step=10s")
    over = _run("promtool", "query", "range", *ask[1:], *times, system.url, "rate(steps_total[10s])")
    rates = [float(line.split(" @[")[0]) for line in over.splitlines()[1:]]
    assert len(rates) == 5
    assert rates[1:] == pytest.approx([1, 1, 1, 1])
    labels = _run("promtool", "query", "labels", *ask[1:], system.url, "job")
    assert "walk" in labels.split()
    series = _run("promtool", "query", "series", *ask[1:], '--match={job="walk"}', system.url)
    assert "steps_total" in series
    _run("promtool", "check", "healthy", f"--url={system.url}")
    _run("promtool", "check", "ready", f"--url={system.url}")


def test_its_own_metrics_lint_clean(system: Watchkeeper) -> None:
    status, body = system.ask("/metrics")
    assert status == 200
    done = subprocess.run([peer("promtool"), "check", "metrics"], input=body, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()


def test_amtool_alerts_and_silences(system: Watchkeeper, tmp_path: Path) -> None:
    at = (f"--alertmanager.url={system.url}/alertmanager", f"--http.config.file={tmp_path / 'http.yml'}")

    _run("amtool", *at, "alert", "add", "DiskFull", "severity=critical", "instance=a", "--annotation=summary=full")
    _run("amtool", *at, "alert", "add", "DiskSlow", "severity=warning", "instance=a")
    alerts = orjson.loads(_run("amtool", *at, "-o", "json", "alert", "query", "severity=critical"))
    assert [one["labels"]["alertname"] for one in alerts] == ["DiskFull"]
    assert alerts[0]["status"]["state"] in ("active", "unprocessed")
    assert alerts[0]["annotations"] == {"summary": "full"}

    silence = _run("amtool", *at, "silence", "add", "alertname=~Disk.*", "--comment=c", "--author=a", "--duration=1h")
    shown = orjson.loads(_run("amtool", *at, "-o", "json", "silence", "query"))
    assert [one["id"] for one in shown] == [silence.strip()]
    wait_until(
        "no alert shown", lambda: orjson.loads(_run("amtool", *at, "-o", "json", "alert", "query")) in (None, [])
    )
    silenced = orjson.loads(_run("amtool", *at, "-o", "json", "alert", "query", "--silenced"))
    assert {one["labels"]["alertname"] for one in silenced} == {"DiskFull", "DiskSlow"}

    system.kill()
    system.start()
    again = orjson.loads(_run("amtool", *at, "-o", "json", "alert", "query", "--silenced"))
    assert {one["labels"]["alertname"] for one in again} == {"DiskFull", "DiskSlow"}, "alerts survive kill -9"

    _run("amtool", *at, "silence", "expire", silence.strip())
    assert orjson.loads(_run("amtool", *at, "-o", "json", "silence", "query")) in (None, [])
    active = orjson.loads(_run("amtool", *at, "-o", "json", "alert", "query"))
    assert {one["labels"]["alertname"] for one in active} == {"DiskFull", "DiskSlow"}
    assert "inbox" in _run("amtool", *at, "config", "show")
    assert "inbox" in _run("amtool", *at, "config", "routes", "test", "severity=critical")


def test_without_credentials_nothing_but_health_answers(system: Watchkeeper) -> None:
    system.key = ""
    assert system.ask("/-/healthy")[0] == 200
    for path in ("/api/v1/query?query=1", "/metrics", "/api/v2/alerts", "/loki/api/v1/labels", "/api/overview"):
        assert system.ask(path)[0] == 401, path


def test_it_stops_within_five_seconds_and_says_so(system: Watchkeeper) -> None:
    began = time.monotonic()
    assert system.stop() == 0
    assert time.monotonic() - began < 5
    assert '"event":"stopped"' in system.journal.read_text().splitlines()[-1]


def test_a_second_process_on_the_same_data_is_refused(system: Watchkeeper) -> None:
    where = ("--data", str(system.data), "--listen", "127.0.0.1:0")
    done = subprocess.run([*PROGRAM, "up", *where], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "held by process" in done.stderr


def test_auth_none_is_refused_on_an_address_that_others_reach(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "up", "--auth", "none", "--listen", "0.0.0.0:0", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "want a loopback address" in done.stderr


def test_a_bad_configuration_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: soon}\n")
    where = ("--config", str(tmp_path), "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    done = subprocess.run([*PROGRAM, "up", *where], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "prometheus.yml:1: global.scrape_interval: got 'soon'" in done.stderr
    assert not (tmp_path / "data").exists()
