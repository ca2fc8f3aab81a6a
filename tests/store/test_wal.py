import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import OverLimit, Refused
from watchkeeper.store.files import Files, RealFiles
from watchkeeper.store.segment import HEADER_BYTES
from watchkeeper.store.settings import WalSettings
from watchkeeper.store.wal import Wal

DIRECTORY = "metrics/wal"


def make(files: Files, clock: SplitClock | None = None, **settings: Any) -> Wal:
    settings.setdefault("segment_bytes", 1 << 16)
    return Wal(files, DIRECTORY, WalSettings(**settings), clock or SplitClock(1_000_000))


def opened(files: Files, clock: SplitClock | None = None, **settings: Any) -> Wal:
    log = make(files, clock, **settings)
    for _ in log.replay():
        pass
    return log


def payloads(files: Files) -> list[bytes]:
    return [payload for _, payload in make(files).replay()]


def segments(files: SimFiles) -> list[str]:
    return [name for name in files.listdir(DIRECTORY) if name.endswith(".wal")]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_what_was_appended_is_replayed_in_order_with_its_kind() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files)
        for number in range(100):
            log.append(number % 3 + 1, b"record %d" % number)
        await log.commit()
        await log.close()
        assert list(make(files).replay()) == [(number % 3 + 1, b"record %d" % number) for number in range(100)]

    run(scenario)


def test_real_files_behave_as_the_simulated_ones(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = opened(RealFiles(tmp_path), segment_bytes=1 << 20)
        for number in range(1000):
            log.append(1, b"record %d" % number)
        await asyncio.gather(*(log.commit() for _ in range(10)))
        await log.close()
        again = make(RealFiles(tmp_path))
        assert [payload for _, payload in again.replay()] == [b"record %d" % number for number in range(1000)]
        assert again.damaged == 0
        (segment,) = (tmp_path / DIRECTORY).glob("*.wal")
        assert segment.stat().st_size == again.size_bytes  # what was reserved was given back

    run(scenario)


def test_a_power_cut_loses_nothing_committed() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files)
        for number in range(10):
            log.append(1, b"%d" % number)
        await log.commit()
        log.append(1, b"not committed")
        assert payloads(files.crash("lost", random.Random(1))) == [b"%d" % number for number in range(10)]
        assert payloads(files.crash("kill", random.Random(1)))[-1] == b"not committed"
        await log.close()

    run(scenario)


def test_all_who_wait_share_a_sync() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files)
        log.append(1, b"first")
        await log.commit()
        before = files.syncs

        async def write(number: int) -> None:
            log.append(1, b"%d" % number)
            await log.commit()

        await asyncio.gather(*(write(number) for number in range(50)))
        assert files.syncs - before <= 2
        await log.close()

    run(scenario)


def test_what_nobody_waits_for_is_synced_soon() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files, sync_interval_ms=5)
        synced = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(synced.set)

        files.on_sync = tell
        log.append(1, b"a scrape")
        await asyncio.wait_for(synced.wait(), 5)
        await log.close()

    run(scenario)


def test_durability_os_does_not_sync() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files, durability="os")
        log.append(1, b"x")
        await log.commit()
        assert files.syncs == 0
        assert payloads(files.crash("kill", random.Random(1))) == [b"x"]
        await log.close()
        assert payloads(files.crash("lost", random.Random(1))) == [b"x"]

    run(scenario)


def test_a_full_or_old_segment_is_followed_by_a_new_one_and_listeners_hear_of_it() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(1_000_000)
        began: list[int] = []
        log = opened(files, clock, segment_bytes=4096, segment_age_ms=60_000)
        log.listeners.append(began.append)
        for _ in range(10):
            log.append(1, bytes(1000))
        assert began == [1, 2, 3]
        clock.s += 61
        log.roll_if_full()
        assert began == [1, 2, 3, 4]
        await log.close()
        assert len(payloads(files)) == 10

    run(scenario)


def test_old_segments_are_dropped_by_the_newest_time_in_them() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files, segment_bytes=4096)
        for number in range(40):
            log.append(1, bytes(1000), number * 1000)
        await log.commit()
        assert log.drop_before(20_000) == 5
        left = len(payloads(files))
        assert left == 20
        await log.close()
        again = opened(files)
        assert again.drop_before(100_000) > 0
        assert again.size_bytes == 0

    run(scenario)


def test_too_large_a_record_is_refused_with_the_limits_name() -> None:
    log = opened(SimFiles(), record_bytes_max=5000)
    with pytest.raises(OverLimit, match="record_bytes_max"):
        log.append(1, bytes(5001))


def test_a_full_disk_refuses_and_recovers() -> None:
    async def scenario() -> None:
        files = SimFiles(space=100_000)
        log = opened(files)
        accepted: list[bytes] = []

        def fill() -> None:
            for number in range(200):
                log.append(1, b"%04d" % number + bytes(2000))
                accepted.append(b"%04d" % number)

        with pytest.raises(Refused):
            fill()
        for _ in range(3):
            with pytest.raises(Refused):
                log.append(1, bytes(3000))
        await log.commit()
        files.space = 200_000
        log.append(1, b"after")
        await log.commit()
        found = payloads(files.crash("lost", random.Random(1)))
        assert [payload[:4] for payload in found[:-1]] == accepted and found[-1] == b"after"
        await log.close()

    run(scenario)


def test_a_failed_sync_refuses_all_who_wait_and_a_later_one_makes_up_for_it() -> None:
    """Linux forgets what a failed fsync could not write: what was in doubt must be written anew."""

    async def scenario() -> None:
        files = SimFiles()
        log = opened(files)
        log.append(1, b"good")
        await log.commit()
        files.faults = {files.calls + 2: "lost"}
        log.append(1, b"in doubt")
        answers = await asyncio.gather(*(log.commit() for _ in range(3)), return_exceptions=True)
        assert all(isinstance(answer, Refused) for answer in answers)
        await log.commit()
        log.append(1, b"later")
        await log.commit()
        assert payloads(files.crash("lost", random.Random(1))) == [b"good", b"in doubt", b"later"]
        await log.close()
        assert payloads(files) == [b"good", b"in doubt", b"later"]  # each once, though it is there twice

    run(scenario)


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO", "short", "lost"])
@pytest.mark.parametrize("how", ["lost", "kill", "prefix", "torn", "some"])
def test_no_failing_call_makes_a_false_acknowledgement(kind: str, how: str) -> None:
    """The n-th call fails, for every n: what was acknowledged is there after a crash, and nothing else but attempts."""
    for number in range(1, 200):
        files = SimFiles({number: kind})
        acknowledged, attempted = asyncio.run(write_through_faults(files))
        if not files.hit:
            break
        after = files.crash(how, random.Random(number))
        found = payloads(after)
        assert set(acknowledged) <= set(found) <= set(attempted), (number, kind)
        assert len(found) == len(set(found))  # once each; what was written again may come late
        asyncio.run(write_on(after, found))
    assert number > 20


async def write_through_faults(files: SimFiles) -> tuple[list[bytes], list[bytes]]:
    acknowledged: list[bytes] = []
    attempted: list[bytes] = []
    written: list[bytes] = []
    log = make(files, segment_bytes=4096)
    try:
        list(log.replay())
    except OSError:
        return [], []
    for number in range(24):
        payload = b"%06d" % number + bytes(number * 40)
        attempted.append(payload)
        try:
            log.append(1, payload)
            written.append(payload)
            if number % 3 == 0:
                await log.commit()
                acknowledged = list(written)
        except Refused:
            continue
    return acknowledged, attempted


async def write_on(files: SimFiles, found: list[bytes]) -> None:
    log = opened(files)
    log.append(1, b"z")
    await log.commit()
    await log.close()
    assert payloads(files) == [*found, b"z"]


def built() -> tuple[SimFiles, list[tuple[str, int, int, bytes]]]:
    """Give a log of three segments and where each record lies: segment, start, end, payload."""

    async def write() -> SimFiles:
        files = SimFiles()
        log = opened(files, segment_bytes=4096)
        chance = random.Random(5)
        for number in range(60):
            log.append(1, b"%06d" % number + chance.randbytes(chance.randint(0, 300)))
        await log.close()
        return files

    files = asyncio.run(write())
    places = []
    for name in segments(files):
        content, at = bytes(files.names[f"{DIRECTORY}/{name}"].now), 0
        while at < len(content):
            end = at + HEADER_BYTES + int.from_bytes(content[at + 8 : at + 12], "little")
            places.append((name, at, end, content[at + HEADER_BYTES : end]))
            at = end
    assert len(places) == 60 and len(segments(files)) >= 3
    return files, places


def damage(content: bytes, how: str, at: int, chance: random.Random) -> tuple[bytes, int, int]:
    """Give damaged content and the range that was touched."""
    length = min(chance.choice([1, 7, 100]), len(content) - at)
    if how == "flip":
        return content[:at] + bytes([content[at] ^ (1 << chance.randint(0, 7))]) + content[at + 1 :], at, at + 1
    if how == "cut":
        return content[:at], at, len(content)
    if how == "zero":
        return content[:at] + bytes(length) + content[at + length :], at, at + length
    return content[:at] + chance.randbytes(length) + content[at + length :], at, at + length


@pytest.mark.parametrize("how", ["flip", "cut", "zero", "garbage"])
def test_damage_costs_the_records_it_touches(how: str) -> None:
    files, places = built()
    chance = random.Random(how)
    borders = [(name, edge + step) for name, start, end, _ in places for edge in (start, end) for step in (-1, 0, 1)]
    lengths = {name: len(files.names[f"{DIRECTORY}/{name}"].now) for name in segments(files)}
    anywhere = [(name, chance.randrange(lengths[name])) for name in lengths for _ in range(60)]
    for name, at in borders + anywhere:
        if not 0 <= at < lengths[name]:
            continue
        hurt = files.crash("kill", chance)
        path = f"{DIRECTORY}/{name}"
        content, low, high = damage(bytes(hurt.names[path].now), how, at, chance)
        changed = content != bytes(hurt.names[path].now)
        hurt.names[path].now = bytearray(content)
        log = make(hurt)
        found = [payload for _, payload in log.replay()]
        whole = [payload for other, start, end, payload in places if other != name or end <= low or start >= high]
        everything = [payload for *_, payload in places]
        assert set(whole) <= set(found) <= set(everything), (name, at)
        assert found == sorted(found)
        if changed and how != "cut":
            assert log.damaged == 1 and len(found) < len(everything)
            assert any(".damaged-" in other for other in hurt.listdir(DIRECTORY))


def test_a_payload_that_looks_like_a_record_is_never_taken_for_one() -> None:
    async def scenario() -> None:
        files = SimFiles()
        other = SimFiles()
        forged = opened(other)
        forged.append(1, b"never written here")
        await forged.close()
        (name,) = segments(other)
        record = bytes(other.names[f"{DIRECTORY}/{name}"].now)
        log = opened(files)
        log.append(1, record * 3)
        log.append(1, b"real")
        await log.close()
        (name,) = segments(files)
        files.names[f"{DIRECTORY}/{name}"].now[0] ^= 1
        assert payloads(files) == [b"real"]

    run(scenario)


def test_a_page_that_cannot_be_read_costs_what_lies_on_it() -> None:
    async def scenario() -> None:
        files = SimFiles()
        log = opened(files, segment_bytes=1 << 20)
        for number in range(1000):
            log.append(1, b"%04d" % number + bytes(40))
        await log.close()

        class BadSector(SimFiles):
            def pread(self, fd: int, length: int, offset: int) -> bytes:
                if offset <= 20_000 < offset + length:
                    raise OSError(5, "EIO")
                return super().pread(fd, length, offset)

        worn = BadSector()
        worn.names = files.names
        found = payloads(worn)
        assert 890 < len(found) < 1000 and found == sorted(found)

    run(scenario)


def test_damaged_bytes_are_kept_and_the_next_start_is_clean_but_for_them() -> None:
    files, places = built()
    name, start, end, _ = places[10]
    files.names[f"{DIRECTORY}/{name}"].now[start + 20] ^= 0xFF
    for _ in range(2):
        log = make(files)
        assert len(list(log.replay())) == 59 and log.damaged == 1
    kept = files.names[f"{DIRECTORY}/{name}.damaged-{start}"].now
    assert len(kept) == end - start


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    files = RealFiles(tmp_path)
    held = files.lock("lock")
    with pytest.raises(Refused, match="cannot lock data directory"):
        RealFiles(tmp_path).lock("lock")
    files.close(held)
    RealFiles(tmp_path).lock("lock")


def test_a_commit_in_the_very_moment_that_a_sync_ends_does_not_hold_up_the_loop() -> None:
    async def scenario() -> None:
        log = opened(SimFiles())
        met = 0
        for number in range(300):
            log.append(1, b"%d" % number)
            first = asyncio.create_task(log.commit())
            while not first.done():
                if log._syncing is not None and log._syncing.done():  # its callback has not run yet
                    met += 1
                    log.append(1, b"late %d" % number)
                    await log.commit()
                await asyncio.sleep(0)
        assert met > 0
        await log.close()

    run(scenario)
