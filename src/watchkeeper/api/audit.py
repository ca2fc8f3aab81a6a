"""The audit log: written in batches that share one fsync, read by admins."""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from watchkeeper.model.clock import Clock
from watchkeeper.model.metrics import counter
from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.auditing import AuditEntry
from watchkeeper.net.routing import ADMIN, Call, Route
from watchkeeper.net.throttle import Throttle, neighbourhood
from watchkeeper.store.state.audit import AuditLog

_written = counter("watchkeeper_audit_entries", "Entries of the audit log.")
_suppressed = counter("watchkeeper_audit_refusals_suppressed", "Refusals not written, as one address had too many.")

_REFUSALS_MAX = 100  # a minute from one address; a flood of wrong keys must not fill the disk
_REFUSED = frozenset({401, 403, 429})
_PAGE_MAX = 1000


class AuditTrail:
    """Takes entries one at a time and writes those that wait together; a Recorder for the gate."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._refusals = Throttle(_REFUSALS_MAX, 60.0, clock)
        self._notices = Throttle(1, 60.0, clock)
        self._waiting: list[tuple[AuditEntry, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, entry: AuditEntry) -> None:
        """Return when the entry is on the disk."""
        if entry.status in _REFUSED:
            place = neighbourhood(entry.address)
            if self._refusals.enter(place):
                _suppressed.inc()
                if self._notices.enter(place):
                    return
                entry = _notice(entry)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: Sequence[tuple[AuditEntry, asyncio.Future[None]]]) -> None:
        try:
            await asyncio.to_thread(self._log.append, [entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 # every waiter learns of it
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        _written.inc(len(batch))
        for _, done in batch:
            if not done.done():
                done.set_result(None)


def _notice(entry: AuditEntry) -> AuditEntry:
    detail = {"refusals_a_minute_max": _REFUSALS_MAX}
    return AuditEntry(entry.time_ms, "watchkeeper", entry.address, "suppress_refusals", "", entry.status, detail)


def routes(log: AuditLog) -> list[Route]:
    """Give the routes that show and check the audit log."""

    async def show_audit(call: Call) -> Response:
        before = call.first("before")
        limit = call.first("limit", "100")
        if not limit.isdecimal() or (before and not before.isdecimal()):
            raise Fault(400, "cannot read parameters: got no number, want numbers for before and limit")
        page = await asyncio.to_thread(
            log.page,
            before_id=int(before[:18]) if before else None,
            limit=max(1, min(int(limit[:9]), _PAGE_MAX)),
            who=call.first("who"),
        )
        return json_answer({"entries": page})

    async def verify_audit(_call: Call) -> Response:
        verdict = await asyncio.to_thread(log.verify)
        return json_answer(
            {
                "entries": verdict.entries,
                "intact": verdict.broken_at is None,
                "brokenAt": verdict.broken_at,
                "chain": verdict.chain,
            }
        )

    return [
        Route("/api/audit", ("GET",), show_audit, ADMIN, "Entries of the audit log, the latest first."),
        Route("/api/audit/verify", ("GET",), verify_audit, ADMIN, "Checks the chain of the audit log."),
    ]
