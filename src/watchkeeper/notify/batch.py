"""Writes that happen at the same time share one transaction, and so one sync of the disk."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Batch(Generic[ItemT]):
    """Collects items while a write is under way, then writes them all at once.

    save  writes items durably, all or none; called in a thread, one call at a time
    """

    def __init__(self, save: Callable[[Sequence[ItemT]], None]) -> None:
        self._save = save
        self._waiting: list[tuple[ItemT, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, item: ItemT) -> None:
        """Return when the item is on the disk.

        raises  whatever `save` raised for the batch it was in
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            failure: Exception | None = None
            try:
                await asyncio.to_thread(self._save, [item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 — handed to those who wait
                failure = error
            for _, done in batch:
                if done.done():
                    continue
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
        self._writer = None
