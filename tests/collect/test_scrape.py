import asyncio
import gzip
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.collect.conftest import BodyServer, RecordingWriter, make_loop, name_of
from tests.waiting import until

from watchkeeper.collect.fetch import Fetch, Fetched, HttpFetch, accept_header, media_type
from watchkeeper.collect.schedule import next_scrape_ms, scrape_time_ms
from watchkeeper.collect.scrape import Scraper
from watchkeeper.collect.settings import (
    DEFAULT_PROTOCOLS,
    GlobalConfig,
    ScrapeConfig,
    ScrapeSettings,
    complete,
)
from watchkeeper.collect.target_loop import TargetLoop
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import is_stale

TEXT = "text/plain; version=0.0.4"


def answering(*answers: bytes | Exception) -> Fetch:
    left = list(answers)

    async def fetch(_: Any) -> Fetched:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return Fetched(answer, "text/plain")

    return fetch


def scrape(writer: RecordingWriter, *answers: bytes | Exception, **config: Any) -> TargetLoop:
    async def run() -> TargetLoop:
        loop = make_loop(writer, answering(*answers), **config)
        for at in range(len(answers)):
            await loop.scrape_once(1000 + at * 1000)
        return loop

    return asyncio.run(run())


def test_a_scrape_is_one_row_with_its_report(writer: RecordingWriter) -> None:
    scrape(writer, b'a{x="1"} 5\nb 6\n')
    (row,) = writer.rows
    assert row.whole
    assert row.time_ms == 1000
    last = writer.last()
    assert 0 <= last.pop("scrape_duration_seconds") < 5
    assert last == {
        'a{x="1"}': 5,
        "b": 6,
        "up": 1,
        "scrape_samples_scraped": 2,
        "scrape_samples_post_metric_relabeling": 2,
        "scrape_series_added": 2,
    }
    assert all(labels["job"] == "test" and labels["instance"] == "host:80" for labels in writer.series_of(row))


def test_an_unchanged_body_keeps_its_layout(writer: RecordingWriter) -> None:
    scrape(writer, *[b"a %d\nb 2\n" % at for at in range(20)])
    assert len(writer.layouts) == 1
    assert {row.layout for row in writer.rows} == {writer.rows[0].layout}
    assert writer.last()["a"] == 19
    assert writer.last()["scrape_series_added"] == 0


def test_a_change_after_many_equal_bodies_is_seen(writer: RecordingWriter) -> None:
    scrape(writer, *[b"a %d\nb 2\n" % at for at in range(15)], b"a 1\nc 7\n", b"a 2\nc 8\n")
    assert writer.last()["c"] == 8
    assert "b" not in writer.last()
    assert writer.rows[-2].whole
    assert [row.values[-1] for row in writer.rows[-2:]] == [1, 0]


def test_a_failed_scrape_ends_all_but_the_report(writer: RecordingWriter) -> None:
    loop = scrape(writer, b"a 1\n", BadInput("no route to host"), b"a 2\n")
    assert [row.whole for row in writer.rows] == [True, True, True]
    assert {name_of(labels) for labels in writer.series_of(writer.rows[1])} == {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    }
    assert writer.rows[1].values[0] == 0
    assert writer.last()["scrape_series_added"] == 0
    assert loop.health.state == "up"


def test_what_is_wrong_with_a_target_is_told(writer: RecordingWriter) -> None:
    loop = scrape(writer, b"a 1\n$$$\n")
    assert (loop.health.state, writer.last()["up"], writer.last()["scrape_samples_scraped"]) == ("down", 0, 1)
    assert loop.health.error.startswith("expected a valid start token")


def test_a_target_that_goes_leaves_stale_markers(writer: RecordingWriter) -> None:
    async def run() -> None:
        loop = make_loop(writer, answering(b"a 1\n"))
        await loop.scrape_once(1000)
        await loop.stop(gone=True)

    asyncio.run(run())
    assert writer.rows[-1].whole
    assert is_stale(writer.rows[-1].values).all()
    assert writer.rows[-1].time_ms > writer.rows[0].time_ms


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"sample_limit": 1}, "sample limit exceeded"),
        ({"label_limit": 2}, "label_limit exceeded (metric: a, number of labels: 4, limit: 2)"),
        (
            {"label_name_length_limit": 9},
            "label_name_length_limit exceeded (metric: a, label name: long_label_name, length: 15, limit: 9)",
        ),
        (
            {"label_value_length_limit": 8},
            (
                'label_value_length_limit exceeded (metric: a, label name: long_label_name, value: "long value", '
                "length: 10, limit: 8)"
            ),
        ),
    ],
)
def test_a_limit_fails_the_scrape_whole(writer: RecordingWriter, config: dict[str, Any], error: str) -> None:
    loop = scrape(writer, b'a{long_label_name="long value"} 1\nb 2\n', **config)
    assert loop.health.error == error
    assert writer.last()["up"] == 0
    assert "b" not in writer.last()


def test_the_targets_labels_win_unless_told_otherwise(writer: RecordingWriter) -> None:
    body = b'a{job="own",instance="mine",exported_job="taken",empty=""} 1\n'
    scrape(writer, body)
    assert writer.series_of(writer.rows[-1])[0] == {
        "__name__": "a",
        "exported_exported_job": "own",
        "exported_instance": "mine",
        "exported_job": "taken",
        "instance": "host:80",
        "job": "test",
    }
    scrape(writer, body, honor_labels=True)
    assert writer.series_of(writer.rows[-1])[0] == {
        "__name__": "a",
        "exported_job": "taken",
        "instance": "mine",
        "job": "own",
    }


def test_metric_relabelling_drops_and_renames(writer: RecordingWriter) -> None:
    rules = [
        {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
        {"source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1"},
    ]
    scrape(writer, b"go_x 1\nold_y 2\nz 3\n", b"go_x 1\nold_y 4\nz 3\n", metric_relabel_configs=rules)
    last = writer.last()
    assert (last["new_y"], last["z"], last["scrape_samples_scraped"]) == (4, 3, 3)
    assert last["scrape_samples_post_metric_relabeling"] == 2
    assert "go_x" not in last


def test_samples_with_their_own_time_live_beside_the_target(writer: RecordingWriter) -> None:
    body = b"a 1 5000\nb 2 6000\nc 3 5000\nd 4\n"
    scrape(writer, body)
    samples = {dict(key)["__name__"]: found for key, found in writer.samples().items()}
    assert (samples["a"], samples["b"], samples["c"], samples["d"]) == (
        [(5000, 1)],
        [(6000, 2)],
        [(5000, 3)],
        [(1000, 4)],
    )
    assert {row.layout.source.endswith("/own"): row.whole for row in writer.rows} == {False: True, True: False}
    writer.rows.clear()
    scrape(writer, body, honor_timestamps=False)
    assert {time for found in writer.samples().values() for time, _ in found} == {1000}


@pytest.mark.parametrize("tracked", [True, False])
def test_series_with_their_own_times_end_when_that_is_wanted(writer: RecordingWriter, *, tracked: bool) -> None:
    bodies: list[bytes | Exception] = [
        b"a 1 900\nb 2 900\nc 3 900\nd 4\n",
        b"a 1 1900\nb 2\nd 4\n",
        BadInput("it is down"),
        b"a 1 3900\n",
    ]
    scrape(writer, *bodies, track_timestamps_staleness=tracked)
    own = [row for row in writer.rows if not row.whole]
    found = {
        dict(key)["__name__"]: [(time, "ends" if is_stale(np.array([value]))[0] else value) for time, value in samples]
        for key, samples in writer.samples(own).items()
    }
    ends = {"a": [(3000, "ends")], "c": [(2000, "ends")]} if tracked else {"a": [], "c": []}
    assert found == {
        "a": [(900, 1), (1900, 1), *ends["a"], (3900, 1)],
        "b": [(900, 2)],  # said without a time now: the target's row has it
        "c": [(900, 3), *ends["c"]],
    }


def test_series_with_their_own_times_end_with_their_target(writer: RecordingWriter) -> None:
    loop = scrape(writer, b"a 1 900\n", track_timestamps_staleness=True)
    writer.rows.clear()
    asyncio.run(loop.stop(gone=True))
    ended = {dict(key)["__name__"] for key in writer.samples([row for row in writer.rows if not row.whole])}
    assert ended == {"a"}


def test_scrapes_spread_over_the_interval_and_keep_their_grid() -> None:
    grids = {next_scrape_ms(1_000_000, 15_000, number * 2_654_435_761) % 15_000 for number in range(200)}
    assert len(grids) > 100
    first = next_scrape_ms(1_000_000, 15_000, 4711)
    assert 1_000_000 < first <= 1_015_000
    assert next_scrape_ms(first, 15_000, 4711) == first + 15_000
    assert next_scrape_ms(first + 14_999, 15_000, 4711) == first + 15_000
    assert (scrape_time_ms(100_000, 100_015, 15_000), scrape_time_ms(100_000, 100_500, 15_000)) == (100_000, 100_500)


# -- over HTTP


def ask(server: BodyServer, path: str = "/metrics", *, twice: bool = False, **config: Any) -> Fetched:
    async def run() -> Fetched:
        whole = complete(ScrapeConfig.model_validate({"job_name": "test", **config}), GlobalConfig())
        fetch = HttpFetch(whole, ScrapeSettings())
        loop = make_loop(
            RecordingWriter(), fetch, found={"__address__": server.address, "__metrics_path__": path}, **config
        )
        try:
            if twice:
                await fetch(loop.target)
            return await fetch(loop.target)
        finally:
            fetch.close()

    return asyncio.run(run())


def test_a_target_is_asked_as_prometheus_asks(server: BodyServer) -> None:
    server.answers["/metrics"] = (b"a 1\n", TEXT)
    fetched = ask(server, scrape_interval="15s", params={"module": ["a b", "c"]})
    assert fetched == Fetched(b"a 1\n", "text/plain")
    path, headers = server.requests[0]
    assert path == "/metrics?module=a+b&module=c"
    assert headers["X-Prometheus-Scrape-Timeout-Seconds"] == "10"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["Accept"] == accept_header(DEFAULT_PROTOCOLS)
    assert headers["Host"] == server.address


def test_credentials_come_from_fields_and_files(server: BodyServer, tmp_path: Path) -> None:
    server.answers["/metrics"] = (b"a 1\n", TEXT)
    (tmp_path / "secret").write_text("s3cret\n")
    ask(server, basic_auth={"username": "u", "password": "p"})
    ask(server, authorization={"type": "Custom", "credentials_file": str(tmp_path / "secret")})
    ask(server, bearer_token="token")
    sent = [headers["Authorization"] for _, headers in server.requests]
    assert sent == ["Basic dTpw", "Custom s3cret", "Bearer token"]


def test_gzip_is_undone_within_the_limit(server: BodyServer) -> None:
    def packed(body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            data = gzip.compress(body)
            handler.send_response(200)
            handler.send_header("Content-Type", TEXT)
            handler.send_header("Content-Encoding", "gzip")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for at in range(0, len(data), 1000):
                piece = data[at : at + 1000]
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            handler.wfile.write(b"0\r\n\r\n")

        return answer

    server.answers["/metrics"] = packed(b"a 1\n" * 5000)
    assert ask(server, twice=True).body == b"a 1\n" * 5000
    server.answers["/metrics"] = packed(bytes(20_000_000))
    with pytest.raises(BadInput, match=r"^body size limit exceeded$"):
        ask(server, body_size_limit="1MB")


def test_a_body_over_the_limit_is_refused(server: BodyServer) -> None:
    server.answers["/metrics"] = (b"a 1\n" * 1000, TEXT)
    with pytest.raises(BadInput, match=r"^body size limit exceeded$"):
        ask(server, body_size_limit="1KB")


def test_redirects_are_followed_unless_told_otherwise(server: BodyServer) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/there")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers |= {"/metrics": elsewhere, "/there": (b"a 2\n", TEXT)}
    assert ask(server).body == b"a 2\n"
    with pytest.raises(BadInput, match="server returned HTTP status 302 Found"):
        ask(server, follow_redirects=False)


def test_answers_that_are_none(server: BodyServer) -> None:
    def raw(text: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(text)
            handler.close_connection = True

        return answer

    cases = {
        "/gone": (None, "server returned HTTP status 404 Not Found"),
        "/blank": ((b"a 1\n", ""), "non-compliant scrape target sending blank Content-Type"),
        "/html": ((b"<p>", "text/html"), 'received unsupported Content-Type "text/html"'),
        "/garbage": (raw(b"SSH-2.0-OpenSSH\r\n"), "malformed HTTP response"),
        "/cut": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), "EOF"),
        "/empty": (raw(b""), "EOF"),
        "/header": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), "header too long"),
    }
    for path, (answer, error) in cases.items():
        if answer is not None:
            server.answers[path] = answer
        with pytest.raises(BadInput, match=error):
            ask(server, path)
    assert ask(server, "/html", fallback_scrape_protocol="PrometheusText0.0.4").body == b"<p>"


def test_a_body_may_end_with_its_connection(server: BodyServer) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n")
        handler.close_connection = True

    server.answers["/metrics"] = answer
    assert ask(server, twice=True).body == b"a 1\n"


def test_a_target_that_hangs_is_cut_off_in_time(server: BodyServer) -> None:
    def hang(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(1)

    server.answers["/metrics"] = hang
    began = time.monotonic()
    with pytest.raises(BadInput, match="context deadline exceeded"):
        ask(server, scrape_timeout="200ms")
    assert time.monotonic() - began < 3


def test_a_closed_port_is_named() -> None:
    class Nowhere:
        address = "127.0.0.1:1"

    with pytest.raises(BadInput, match=r"dial tcp 127.0.0.1:1: connect: connection refused"):
        ask(Nowhere())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "want"),
    [
        ("text/plain", "text/plain"),
        ("text/plain;version=0.0.4;charset=utf-8", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("TEXT/PLAIN", "text/plain"),
    ],
)
def test_content_types(header: str, want: str) -> None:
    assert media_type(header, None) == want


# -- the scraper


def config(server: BodyServer, *jobs: str, **more: Any) -> list[ScrapeConfig]:
    return [
        ScrapeConfig.model_validate({"job_name": job, "static_configs": [{"targets": [server.address]}], **more})
        for job in jobs
    ]


FAST = GlobalConfig(scrape_interval=100, scrape_timeout=100)


def test_the_scraper_follows_its_configuration(server: BodyServer, writer: RecordingWriter) -> None:
    server.answers["/metrics"] = (b"a 1\n", TEXT)

    async def run() -> None:
        scraper = Scraper(writer, SystemClock())
        await scraper.apply(FAST, config(server, "one", "two"))
        await scraper.start()
        await until(lambda: {health.state for _, health in scraper.targets()} == {"up"})
        kept = next(loop for (pool, _), loop in scraper._loops.items() if pool == "one")
        await scraper.apply(FAST, config(server, "one"))
        assert list(scraper._loops.values()) == [kept]
        assert is_stale(writer.rows[-1].values).all()
        assert "/two/" in writer.rows[-1].layout.source
        with pytest.raises(BadInput, match="multiple scrape configs"):
            await scraper.apply(FAST, config(server, "x", "x"))
        assert list(scraper._loops.values()) == [kept]
        await scraper.apply(FAST, config(server, "one", honor_labels=True))
        assert list(scraper._loops.values()) == [kept]
        await scraper.stop()
        count = len(writer.rows)
        await asyncio.sleep(0)
        assert len(writer.rows) == count

    asyncio.run(run())


def test_hanging_targets_do_not_disturb_others(server: BodyServer, writer: RecordingWriter) -> None:
    def hang(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(1)

    server.answers |= {"/good": (b"a 1\n", TEXT), "/bad": hang}

    async def run() -> None:
        scraper = Scraper(writer, SystemClock())
        bad = config(server, *(f"bad{at}" for at in range(20)), metrics_path="/bad")
        await scraper.apply(FAST, [*config(server, "good", metrics_path="/good"), *bad])
        await scraper.start()
        good = next(health for target, health in scraper.targets() if target.pool == "good")
        await until(lambda: sum("/good/" in row.layout.source for row in writer.rows) >= 10)
        assert good.state == "up"
        assert any(health.error.endswith("context deadline exceeded") for _, health in scraper.targets())
        await scraper.stop()

    asyncio.run(run())


def test_targets_in_files_come_and_go(server: BodyServer, writer: RecordingWriter, tmp_path: Path) -> None:
    server.answers["/metrics"] = (b"a 1\n", TEXT)
    file = tmp_path / "targets.json"
    file.write_bytes(orjson.dumps([{"targets": [server.address], "labels": {"env": "prod"}}]))

    async def run() -> None:
        scraper = Scraper(writer, SystemClock(), root=tmp_path)
        one = ScrapeConfig.model_validate({"job_name": "files", "file_sd_configs": [{"files": ["*.json"]}]})
        await scraper.apply(FAST, [one])
        await scraper.start()
        (shown,) = scraper.active_json()
        assert shown["labels"] == {"env": "prod", "instance": server.address, "job": "files"}
        assert shown["discoveredLabels"]["__meta_filepath"] == str(file)
        file.write_text("[broken")
        pool = scraper._pools["files"]
        assert not pool.finder.refresh()
        assert len(pool.find().targets) == 1
        file.write_text("[]")
        assert pool.finder.refresh()
        await scraper._settle(set())
        assert scraper.active_json() == []
        await scraper.stop()

    asyncio.run(run())


def test_local_targets_need_no_http(writer: RecordingWriter) -> None:
    async def run() -> None:
        scraper = Scraper(writer, SystemClock())
        scraper.add_local("node", "localhost", lambda: b"a 1\n", 50)
        await scraper.start()

        async def later() -> bytes:
            return b"b 2\n"

        scraper.add_local("self", "localhost", later, 50)
        await until(lambda: [health.state for _, health in scraper.targets()] == ["up", "up"])
        await scraper.apply(FAST, [])
        assert len(scraper.targets()) == 2
        await scraper.stop()

    asyncio.run(run())
    assert {dict(key).get("job") for key in writer.samples()} == {"node", "self"}


def test_scrapes_are_put_on_the_disk_by_and_by(writer: RecordingWriter) -> None:
    async def run() -> None:
        scraper = Scraper(writer, SystemClock())
        await scraper.start()
        await until(lambda: writer.commits > 0)
        await scraper.stop()

    asyncio.run(run())


def test_a_pool_over_its_target_limit_is_down(writer: RecordingWriter) -> None:
    async def run() -> None:
        scraper = Scraper(writer, SystemClock())
        many = {"job_name": "many", "target_limit": 1, "static_configs": [{"targets": ["a:1", "b:1"]}]}
        await scraper.apply(FAST, [ScrapeConfig.model_validate(many)])
        await scraper.start()
        await until(lambda: {health.state for _, health in scraper.targets()} == {"down"})
        assert "target_limit exceeded" in scraper.active_json()[0]["lastError"]
        await scraper.stop()

    asyncio.run(run())


@pytest.mark.peer
def test_the_targets_page_has_prometheus_shape(
    server: BodyServer, writer: RecordingWriter, real_prometheus: Callable[..., Any]
) -> None:
    server.answers["/metrics"] = (b"a 1\n", TEXT)
    drop = [{"source_labels": ["__address__"], "regex": "dropped.*", "action": "drop"}]
    jobs = [
        {
            "job_name": "one",
            "scrape_interval": "1s",
            "params": {"x": ["y"]},
            "static_configs": [{"targets": [server.address, "dropped:1"], "labels": {"env": "a"}}],
            "relabel_configs": drop,
        },
        {"job_name": "down", "scrape_interval": "1s", "static_configs": [{"targets": ["127.0.0.1:1"]}]},
    ]
    peer = real_prometheus(orjson.dumps({"global": {"scrape_timeout": "1s"}, "scrape_configs": jobs}).decode())
    peer.wait_for(lambda: {one["health"] for one in peer.get("/api/v1/targets")["activeTargets"]} == {"up", "down"})
    want = peer.get("/api/v1/targets")

    async def shown() -> dict[str, Any]:
        scraper = Scraper(writer, SystemClock())
        await scraper.apply(GlobalConfig(scrape_timeout=1000), [ScrapeConfig.model_validate(one) for one in jobs])
        await scraper.start()
        await until(lambda: {health.state for _, health in scraper.targets()} == {"up", "down"})
        answer = {
            "activeTargets": scraper.active_json(),
            "droppedTargets": scraper.dropped_json(),
            "droppedTargetCounts": scraper.dropped_counts(),
        }
        await scraper.stop()
        return answer

    got = asyncio.run(shown())
    for answer in (got, want):
        answer["activeTargets"].sort(key=lambda one: one["scrapePool"])
        for one in answer["activeTargets"]:
            assert one.pop("lastScrape").endswith("Z")
            assert isinstance(one.pop("lastScrapeDuration"), float)
    assert got == want


_SAID = b"""\
# HELP a Said \\"once\\\\ or\\n twice.
# TYPE a counter
a 1
# TYPE b histogram
b_bucket{le="+Inf"} 1
b_sum 1
b_count 1
c 3
# HELP d
d 4
# HELP unseen nothing follows
"""


@pytest.mark.peer
def test_what_targets_say_of_their_metrics_is_known(
    server: BodyServer, writer: RecordingWriter, real_prometheus: Callable[..., Any]
) -> None:
    server.answers["/metrics"] = (_SAID, TEXT)
    job = {"job_name": "one", "scrape_interval": "1s", "static_configs": [{"targets": [server.address]}]}
    peer = real_prometheus(orjson.dumps({"global": {"scrape_timeout": "1s"}, "scrape_configs": [job]}).decode())
    peer.wait_for(lambda: bool(peer.get("/api/v1/targets/metadata")))
    want = {
        one["metric"]: (one["target"], one["type"], one["help"], one["unit"])
        for one in peer.get("/api/v1/targets/metadata")
    }

    async def known() -> list[Any]:
        scraper = Scraper(writer, SystemClock())
        await scraper.apply(GlobalConfig(scrape_timeout=1000), [ScrapeConfig.model_validate(job)])
        await scraper.start()
        await until(lambda: len(writer.rows) >= 5)  # what is kept outlives the shape that said it
        found = scraper.target_metadata()
        await scraper.stop()
        return found

    (found,) = asyncio.run(known())
    got = {name: (found[0], said.type, said.help, said.unit) for name, said in found[1].items()}
    assert got == want


def test_a_body_with_too_many_lines_is_refused_before_it_is_read(writer: RecordingWriter) -> None:
    loop = scrape(writer, b"\n" * 1_000_000)
    assert loop.health.error == "samples_max: got 1000000 lines, want at most 200000"


def test_a_large_body_is_read_whole(writer: RecordingWriter) -> None:
    bodies = [
        b"".join(b'a{n="%d",some_label="some value"} %d\n' % (at, at + turn) for at in range(20_000))
        for turn in range(2)
    ]
    loop = scrape(writer, *bodies)
    assert loop.health.error == ""
    assert writer.rows[-1].values[:20_000].sum() == sum(range(1, 20_001))
