import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import StillClock
from tests.waiting import until

from watchkeeper.collect.logs.promtail import PromtailConfig, TailSettings
from watchkeeper.collect.logs.reading import Reading, targets_of
from watchkeeper.collect.logs.tail import Position
from watchkeeper.collect.logs.tailer import Tailer
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.model.logs import Entries, LogsAppended

NOW_MS = 1_700_000_000_000


def config(*jobs: Mapping[str, Any]) -> PromtailConfig:
    return PromtailConfig.model_validate({"scrape_configs": list(jobs)})


def job(path: str, stages: Any = None, **labels: str) -> dict[str, Any]:
    out: dict[str, Any] = {"job_name": "j", "static_configs": [{"labels": {"__path__": path, **labels}}]}
    if stages is not None:
        out["pipeline_stages"] = stages
    return out


class Watcher:
    """Reads files as the tailer does, and can be restarted."""

    def __init__(self, pattern: str, stages: Any = (), **settings: int) -> None:
        self.clock = StillClock(NOW_MS)
        self.targets = targets_of(config(job(pattern, list(stages) if stages is not None else None)))
        self.settings = TailSettings(glob_interval_ms=1, rotated_grace_ms=5000, **settings)
        self.kept: dict[str, bytes] = {}
        self.lines: list[str] = []
        self.entries: list[Entries] = []
        self.start()

    def start(self) -> None:
        self.reading = Reading(self.targets, self.settings, self.clock, self.kept)

    def restart(self) -> None:
        self.reading.close()
        self.start()

    def poll(self, *, accept: bool = True) -> list[str]:
        found: list[str] = []
        while True:
            self.clock.ms += 10
            batch = self.reading.gather()
            for each in batch.entries:
                found += [line.decode() for line in each.lines]
                self.entries.append(each)
            if not accept:
                return found
            for key, kept in batch.positions.items():
                if kept:
                    self.kept[key] = kept
                else:
                    self.kept.pop(key, None)
            self.reading.accept(batch)
            if not batch.chunks:
                self.lines += found
                return found

    def after_grace(self) -> list[str]:
        found = self.poll()
        self.clock.ms += 6000
        found += self.poll()
        return found + self.poll()


def write(path: Path, text: str, mode: str = "a") -> None:
    with path.open(mode, newline="") as file:
        file.write(text)


RESTARTS = pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])


@RESTARTS
def test_whole_lines_are_read_once_and_a_partial_one_when_it_is_whole(tmp_path: Path, restarts: bool) -> None:
    log = tmp_path / "a.log"
    write(log, "one\ntw")
    watcher = Watcher(str(tmp_path / "*.log"))
    assert watcher.poll() == ["one"]
    if restarts:
        watcher.restart()
    assert watcher.poll() == []
    write(log, "o\r\nthree\n\n")
    assert watcher.poll() == ["two", "three"]
    if restarts:
        watcher.restart()
    assert watcher.poll() == []


@RESTARTS
@pytest.mark.parametrize("glob", ["app.log", "app*"], ids=["name", "glob-of-rotated-names-too"])
@pytest.mark.parametrize("unread", [False, True], ids=["read", "unread"])
@pytest.mark.parametrize("name", ["app.log.1", "app-2023.log"])
def test_rotation_by_rename_neither_loses_nor_repeats(
    tmp_path: Path, restarts: bool, glob: str, unread: bool, name: str
) -> None:
    log = tmp_path / "app.log"
    write(log, "1\n2\n")
    watcher = Watcher(str(tmp_path / glob))
    watcher.poll()
    if unread:
        write(log, "3\n")
    log.rename(tmp_path / name)
    if restarts:
        watcher.restart()
    watcher.poll()
    write(log, "new 1\n")
    write(tmp_path / name, "written late by the one who has it open\n")
    watcher.poll()
    if restarts:
        watcher.restart()
    watcher.after_grace()
    watcher.restart()
    write(log, "new 2\n")
    watcher.after_grace()
    want = ["1", "2", *(["3"] if unread else []), "written late by the one who has it open", "new 1", "new 2"]
    assert sorted(watcher.lines) == sorted(want)
    (tmp_path / name).rename(tmp_path / "app.log.2")
    log.rename(tmp_path / "app.log.1x")
    write(log, "third\n")
    watcher.after_grace()
    watcher.restart()
    watcher.after_grace()
    assert sorted(watcher.lines) == sorted([*want, "third"])


@RESTARTS
def test_copytruncate_begins_anew_also_when_the_file_has_grown_beyond(tmp_path: Path, restarts: bool) -> None:
    log = tmp_path / "a.log"
    write(log, "old line 1\nold line 2\n")
    watcher = Watcher(str(log))
    watcher.poll()
    write(log, "x\n", "w")
    if restarts:
        watcher.restart()
    assert watcher.poll() == ["x"]
    write(log, "another beginning, and longer than it was before\n", "w")
    if restarts:
        watcher.restart()
    assert watcher.poll() == ["another beginning, and longer than it was before"]


def test_a_deleted_files_last_line_counts_without_a_newline_and_its_place_is_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "1\nlast")
    watcher = Watcher(str(log))
    assert watcher.poll() == ["1"]
    log.unlink()
    assert watcher.after_grace() == ["last"]
    watcher.after_grace()
    assert watcher.kept == {}
    write(log, "again\n")
    assert watcher.poll() == ["again"]


def test_what_was_read_and_not_stored_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, "1\n2\n")
    watcher = Watcher(str(log))
    assert watcher.poll(accept=False) == ["1", "2"]
    watcher.restart()
    assert watcher.poll() == ["1", "2"]


@RESTARTS
def test_a_huge_line_is_cut_and_what_follows_is_whole(tmp_path: Path, restarts: bool) -> None:
    log = tmp_path / "a.log"
    write(log, "x" * 9000)
    watcher = Watcher(str(log), max_line_size_bytes=100, chunk_bytes=4096)
    assert watcher.poll() == ["x" * 100]
    if restarts:
        watcher.restart()
    write(log, "x" * 50 + "\nnext\n" + "y" * 200 + "\n")
    assert watcher.poll() == ["next", "y" * 100]


def test_new_files_are_found_packed_and_excluded_ones_are_not_and_bytes_become_utf8(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    target = job(str(tmp_path / "**" / "*.log*"), [], __path_exclude__=str(tmp_path / "no*.log"), env="x")
    watcher = Watcher("unused")
    watcher.targets = targets_of(config(target))
    watcher.restart()
    assert watcher.poll() == []
    for name in ("deep/er/a.log", "nothing.log", "b.log.gz"):
        write(tmp_path / name, "text\n")
    (tmp_path / "deep" / "b.log").write_bytes(b"caf\xe9\n")
    assert sorted(watcher.poll()) == ["caf\ufffd", "text"]
    assert watcher.entries[0].labels == {"env": "x", "job": "j", "filename": str(tmp_path / "deep" / "b.log")}


def test_json_lines_tell_level_and_time_when_no_stages_are_given(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(
        log,
        '{"timestamp": "2023-11-14T22:13:20.123456Z", "level": "WARNING", "message": "m"}\n'
        '{"ts": 1700000000.5, "severity": "err"}\n'
        '{"time": "1700000000123", "level": 30}\nplain\n',
    )
    watcher = Watcher(str(log), None)
    watcher.poll()
    found = {e.labels.get("level", ""): list(e.times_ns) for e in watcher.entries}
    assert found["warn"] == [1_700_000_000_123_456_000]
    assert found["error"] == [1_700_000_000_500_000_000]
    assert found[""][0] == 1_700_000_000_123_000_000
    assert found[""][1] // 1_000_000_000 == NOW_MS // 1000


def test_a_position_survives_being_kept() -> None:
    position = Position(1, 2, 3, 4, 5, skipping=True)
    assert Position.decode(position.encode()) == position
    assert Position.decode(b"rubbish") is None


STAGES: list[tuple[list[dict[str, Any]], bytes, dict[str, str], int | None, bytes]] = [
    (
        [
            {"json": {"expressions": {"level": "", "msg": "message", "ts": "timestamp", "deep": "a.b"}}},
            {"timestamp": {"source": "ts", "format": "RFC3339Nano"}},
            {"labels": {"level": None, "deep": ""}},
            {"output": {"source": "msg"}},
        ],
        b'{"timestamp":"2023-11-14T22:13:20.000000001Z","level":"INFO","message":"hello","a":{"b":7}}',
        {"level": "INFO", "deep": "7"}, 1_700_000_000_000_000_001, b"hello",
    ),
    (
        [{"docker": {}}],
        b'{"log":"hello\\n","stream":"stderr","time":"2023-11-14T22:13:20Z"}',
        {"stream": "stderr"}, 1_700_000_000_000_000_000, b"hello",
    ),
    ([{"cri": {}}], b"2023-11-14T22:13:20Z stdout F hello", {"stream": "stdout"}, 1_700_000_000_000_000_000, b"hello"),
    (
        [
            {"regex": {"expression": r"^(?P<t>\S+ \S+) \[(?P<level>\w+)\] (?P<m>.*)$"}},
            {"timestamp": {"source": "t", "format": "2006-01-02 15:04:05.000", "location": "Europe/Berlin"}},
            {"labels": {"level": ""}},
            {"output": {"source": "m"}},
        ],
        b"2023-11-14 23:13:20.250 [warn] careful",
        {"level": "warn"}, 1_700_000_000_250_000_000, b"careful",
    ),
    (
        [{"match": {"selector": '{job="j"} |= "secret"', "action": "drop"}}, {"static_labels": {"a": "b"}}],
        b"nothing hidden", {"a": "b"}, None, b"nothing hidden",
    ),
    ([{"match": {"selector": '{job="j"} |= "secret"', "action": "drop"}}], b"a secret", {}, None, b""),
    ([{"drop": {"expression": ".*healthz.*"}}], b"GET /healthz", {}, None, b""),
    ([{"logfmt": {"mapping": {"lvl": "level"}}}, {"labels": {"lvl": ""}}], b'a=1 level="x y"', {"lvl": "x y"}, None,
     b'a=1 level="x y"'),
]  # fmt: skip


@pytest.mark.parametrize(("stages", "line", "labels", "time_ns", "text"), STAGES)
def test_stages_do_what_promtails_do(
    tmp_path: Path, stages: list[dict[str, Any]], line: bytes, labels: dict[str, str], time_ns: int | None, text: bytes
) -> None:
    (tmp_path / "a.log").write_bytes(line + b"\n")
    watcher = Watcher(str(tmp_path / "a.log"), stages)
    watcher.poll()
    if not text:
        assert watcher.entries == []
        return
    (found,) = watcher.entries
    assert found.lines == [text]
    assert {k: v for k, v in found.labels.items() if k not in ("job", "filename")} == labels
    assert time_ns is None or list(found.times_ns) == [time_ns]


@RESTARTS
def test_split_cri_lines_are_put_together(tmp_path: Path, restarts: bool) -> None:
    log = tmp_path / "a.log"
    write(log, "2023-11-14T22:13:20Z stdout F zero\n2023-11-14T22:13:20Z stdout P one \n")
    watcher = Watcher(str(log), [{"cri": {}}])
    assert watcher.poll() == ["zero"]
    if restarts:
        watcher.restart()
    write(log, "2023-11-14T22:13:21Z stdout P two \n2023-11-14T22:13:22Z stdout F three\n")
    assert watcher.poll() == ["one two three"]


@pytest.mark.parametrize(
    ("stages", "want"),
    [
        ([{"rejson": {}}], "unknown stage 'rejson', want one of"),
        ([{"json": {"expressions": {"a": "b[?c]"}}}], "pipeline_stages[0].json.expressions.a"),
        ([{"regex": {"expression": "("}}], "cannot compile regular expression"),
        ([{"timestamp": {"source": "a", "format": "when"}}], "pipeline_stages[0].timestamp.format"),
        ([{"match": {"selector": "nope"}}], "pipeline_stages[0].match.selector"),
        ([{"docker": {}, "cri": {}}], "want one stage"),
    ],
)
def test_a_wrong_stage_is_named(stages: list[dict[str, Any]], want: str) -> None:
    with pytest.raises(BadInput) as caught:
        targets_of(config(job("/x", stages)))
    assert want in str(caught.value)


class KeepingWriter:
    """A store that refuses now and then."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.kept: dict[str, bytes] = {}
        self.refuse_next = 0

    def append(self, entries: Sequence[Entries], positions: Mapping[str, bytes] | None = None) -> LogsAppended:
        if self.refuse_next:
            self.refuse_next -= 1
            raise Refused("full")
        for each in entries:
            self.lines += each.lines
        self.kept.update(positions or {})
        return LogsAppended(len(entries), {})

    async def commit(self) -> None:
        await asyncio.sleep(0)

    def positions(self) -> Mapping[str, bytes]:
        return dict(self.kept)


def test_the_tailer_follows_files_waits_for_a_full_disk_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        log, writer = tmp_path / "a.log", KeepingWriter()
        settings = TailSettings(poll_shortest_ms=5, poll_longest_ms=20, glob_interval_ms=5)

        def tailer() -> Tailer:
            from watchkeeper.model.clock import SystemClock

            made = Tailer(writer, SystemClock(), settings)
            made.apply([config(job(str(log), []))])
            return made

        first = tailer()
        await first.start()
        write(log, "1\n2\n")
        await until(lambda: writer.lines == [b"1", b"2"])
        assert [Path(str(row["path"])).name for row in first.status()] == ["a.log"]
        await first.stop()
        write(log, "3\n")
        writer.refuse_next = 1
        second = tailer()
        await second.start()
        await until(lambda: writer.lines == [b"1", b"2", b"3"])
        await second.stop()

    asyncio.run(run())
