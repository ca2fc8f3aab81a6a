import asyncio
import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.store.settings import WalSettings
from watchkeeper.store.wal import Wal


@contextlib.contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("the event loop stood still")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_commit_between_the_end_of_a_sync_and_its_callback_begins_another_sync() -> None:
    async def run() -> None:
        files = SimFiles()
        wal = Wal(files, "logs/wal", WalSettings(segment_bytes=4096), SplitClock(1, 1.0))
        list(wal.replay())
        late: list[asyncio.Task[None]] = []
        let_go = wal._let_go

        def at_the_end_of_the_sync(segments: list) -> None:  # type: ignore[type-arg]
            let_go(segments)
            if not late:
                asyncio.get_running_loop().call_soon(between)

        def between() -> None:  # the task is done, its callbacks have not run
            assert wal._syncing is not None
            assert wal._syncing.done()
            wal.append(1, b"second")
            second = wal.commit()
            waits_for = second.send(None)  # the first step of commit, at this very moment
            assert waits_for is not None
            late.append(asyncio.ensure_future(finish(second)))

        async def finish(second: object) -> None:
            del second
            await wal.commit()

        wal._let_go = at_the_end_of_the_sync  # type: ignore[method-assign]
        wal.append(1, b"first")
        await wal.commit()
        await asyncio.gather(*late)
        assert wal._synced == wal._sequence == 2
        await wal.close()

    with no_longer_than(20):
        asyncio.run(run())
