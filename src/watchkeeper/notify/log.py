"""The notification log: what each integration was last told about a group, and whether it needs telling again.

source  github.com/prometheus/alertmanager, nflog and notify.DedupStage
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from watchkeeper.model.metrics import GO_BUCKETS, counter, histogram
from watchkeeper.notify.batch import Batch
from watchkeeper.store.state.ledger import Event
from watchkeeper.store.state.notifications import LogEntry, LogKey

log = structlog.get_logger(__name__)

_queries = counter("alertmanager_nflog_queries", "Number of notification log queries were received.")
_query_errors = counter("alertmanager_nflog_query_errors", "Number notification log received queries that failed.")
_query_s = histogram(
    "alertmanager_nflog_query_duration_seconds", "Duration of notification log query evaluation.", buckets=GO_BUCKETS
)
_maintenance = counter(
    "alertmanager_nflog_maintenance", "How many maintenances were executed for the notification log."
)
_maintenance_errors = counter(
    "alertmanager_nflog_maintenance_errors",
    "How many maintenances were executed for the notification log that failed.",
)
_RETENTION_MS = 432_000_000  # 120 h, Alertmanager's --data.retention


class Reason(StrEnum):
    """Why an integration is told; the words stand in payloads."""

    FIRST = "first notification"
    NEW_ALERTS = "new alerts added"
    SOME_RESOLVED = "some alerts resolved"
    ALL_RESOLVED = "all alerts resolved"
    REPEAT = "repeat interval elapsed"


def reason_to_notify(
    entry: LogEntry | None,
    firing: frozenset[int],
    resolved: frozenset[int],
    now_ms: int,
    repeat_interval_ms: int,
    *,
    send_resolved: bool,
) -> Reason | None:
    """Say why a group must be told again, or None when nothing is new.

    Alerts that left the group without having been told as resolved (muted ones) are no change.
    """
    if entry is None:
        return Reason.FIRST if firing else None
    if not firing <= entry.firing:
        return Reason.NEW_ALERTS if entry.firing else Reason.FIRST
    if not firing:  # told whatever send_resolved says, so that the log forgets what fired
        return Reason.ALL_RESOLVED if entry.firing else None
    if send_resolved and not resolved <= entry.resolved:
        return Reason.SOME_RESOLVED
    return Reason.REPEAT if entry.sent_ms < now_ms - repeat_interval_ms else None


@dataclass(frozen=True, slots=True)
class _Record:
    entry: LogEntry
    events: Sequence[Event]


class NotificationLog:
    """All entries, in memory and by `save` on the disk. Entries written at the same time share one transaction.

    save  writes entries and the ledger's steps that came with them durably, all or none; called in a thread
    """

    def __init__(
        self, entries: Iterable[LogEntry], save: Callable[[Sequence[LogEntry], Sequence[Event]], None]
    ) -> None:
        self._entries = {entry.key: entry for entry in entries}
        self._batch = Batch[_Record](
            lambda batch: save([one.entry for one in batch], [event for one in batch for event in one.events])
        )
        self._unsaved: dict[LogKey, _Record] = {}
        self._others: set[LogKey] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: LogKey, now_ms: int) -> LogEntry | None:
        """Give what an integration was last told, unless that is too long ago to count."""
        _queries.inc()
        with _query_s.time():
            entry = self._entries.get(key)
        if entry is not None and entry.expires_ms > now_ms:
            return entry
        _query_errors.inc()  # as Alertmanager counts what is not found
        return None

    async def record(
        self,
        key: LogKey,
        now_ms: int,
        firing: frozenset[int],
        resolved: frozenset[int],
        repeat_interval_ms: int,
        events: Sequence[Event] = (),
        kept: Mapping[str, str] | None = None,
    ) -> None:
        """Note that an integration was told, with the ledger's steps that say so; durable when it returns.

        kept  what the integration keeps of its message, for the next to the same group

        It counts in memory at once: when the disk fails, the entry is written later and nothing is sent twice.
        """
        expires_ms = now_ms + min(_RETENTION_MS, 2 * repeat_interval_ms)
        entry = LogEntry(key, now_ms, expires_ms, firing, resolved, dict(kept or {}))
        self._entries[key] = entry
        self._others.discard(key)
        await self._write(_Record(entry, events))

    def heard(self, entries: Iterable[LogEntry]) -> None:
        """Take over what others have written."""
        for entry in entries:
            known = self._entries.get(entry.key)
            if known is None or known.sent_ms < entry.sent_ms:
                self._entries[entry.key] = entry
                self._others.add(entry.key)

    def is_others(self, key: LogKey) -> bool:
        """Say whether it was another process that told last."""
        return key in self._others

    async def prolong(self, key: LogKey, now_ms: int, repeat_interval_ms: int) -> None:
        """Keep an entry that would be repeated now, but is acknowledged, from being forgotten meanwhile."""
        entry = self._entries[key]
        if entry.expires_ms < now_ms + repeat_interval_ms:
            kept = replace(entry, expires_ms=now_ms + min(_RETENTION_MS, 2 * repeat_interval_ms))
            self._entries[key] = kept
            await self._write(_Record(kept, ()))

    async def _write(self, record: _Record) -> None:
        entry = record.entry
        try:
            await self._batch.write(record)
        except Exception as error:  # noqa: BLE001 — whatever the database's driver raises
            self._unsaved[entry.key] = record
            log.error("notification_log_write_failed", group_key=entry.key.group_key, error=str(error)[:200])  # noqa: TRY400 — no trace
        else:
            self._unsaved.pop(entry.key, None)

    async def maintain(self, now_ms: int) -> None:
        """Write what could not be written before, and let go of what no longer counts."""
        _maintenance.inc()
        for record in list(self._unsaved.values()):
            await self._write(record)
        _maintenance_errors.inc(bool(self._unsaved))
        for key, entry in list(self._entries.items()):
            if entry.expires_ms < now_ms and key not in self._unsaved:
                del self._entries[key]
                self._others.discard(key)
