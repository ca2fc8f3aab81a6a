"""The door of the metrics store: new samples in frames in memory and in the write-ahead log, older ones in blocks.

append: check rows against their series ─► one record of the log ─► frames ─► visible
upkeep: frames ─► blocks of two hours ─► larger blocks ─► gone (upkeep.py)
start:  lock the directory ─► open the blocks ─► replay the log into frames ─► ready
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import structlog

from watchkeeper.model.census import BlockSaid, Census, TierSaid
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import BadInput, Damaged, OverLimit, Refused
from watchkeeper.model.frame import (
    STALE,
    Appended,
    Floats,
    FrameSlice,
    MetricMetadata,
    Row,
    Selection,
)
from watchkeeper.model.labels import Labels, LabelTable, Symbols
from watchkeeper.model.metrics import counter
from watchkeeper.store.files import Files
from watchkeeper.store.metrics import select
from watchkeeper.store.metrics.appended import sum_up
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.census import take_census
from watchkeeper.store.metrics.columns import code_columns
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.deletion import Tombstones
from watchkeeper.store.metrics.directory import DIRECTORY, check_format
from watchkeeper.store.metrics.exemplars import ExemplarRing
from watchkeeper.store.metrics.frame import NEVER_MS, Frame, FrameLayout, Verdict
from watchkeeper.store.metrics.frames import SERIES, Frames
from watchkeeper.store.metrics.histograms import HistogramFiles
from watchkeeper.store.metrics.recent import Recent, name_codes
from watchkeeper.store.metrics.record import (
    EXEMPLARS,
    METADATA,
    ROWS,
    LoggedRow,
    declare,
    decode_metadata,
    decode_rows,
    encode_metadata,
    encode_rows,
)
from watchkeeper.store.metrics.select import View
from watchkeeper.store.metrics.shown import REPLAY_S, show
from watchkeeper.store.metrics.upkeep import Upkeep
from watchkeeper.store.room import Room
from watchkeeper.store.settings import Keep, MetricSettings
from watchkeeper.store.wal import Wal

log = structlog.get_logger(__name__)

_RENEW_RECORDS, _PROGRESS_S = 5000, 5.0

UNREADABLE = counter("watchkeeper_metrics_unreadable_records", "Good records of the log that mean nothing to us.")


@dataclass(slots=True)
class _Declared:
    """A layout in the current segment of the log."""

    number: int
    base: Floats
    uses: int = 0


class MetricDb:
    """The embedded metrics store: model.doors.MetricStore, and a Part.

    files     the data directory; everything of ours lies in metrics/
    symbols   what the codes of all label tables mean
    keeps     series that are kept for another time than the rest
    exemplars kept beside the samples, in the same log
    room      looked at before every write
    """

    def __init__(
        self,
        files: Files,
        settings: MetricSettings,
        clock: Clock,
        keeps: Sequence[Keep] = (),
        room: Room | None = None,
    ) -> None:
        self._files, self._settings, self._clock, self._room = files, settings, clock, room
        self._symbols = Symbols()
        self._decoded = DecodedChunks(settings.decoded_bytes_max, clock)
        self._metadata: dict[str, list[MetricMetadata]] = {}
        self._wal = Wal(files, f"{DIRECTORY}/wal", settings.wal, clock)
        self._wal.listeners.append(self._segment_began)
        age_ms, durable = settings.wal.segment_age_ms, settings.wal.durability == "fsync"
        self._histograms = HistogramFiles(files, f"{DIRECTORY}/histograms", clock, age_ms, durable=durable)
        self._wal.before_sync = self._histograms.sync
        self._frames = Frames(self._symbols, settings, clock.monotonic_s, self._histograms.same)
        self.exemplars = ExemplarRing(settings.exemplars_max, self._log_exemplars)
        self._tombstones = Tombstones(files, f"{DIRECTORY}/tombstones")
        self._blocks = Blocks(files, f"{DIRECTORY}/blocks", self._symbols)
        show(self._frames, self._blocks, self._wal, settings)
        self.recent = Recent(self._symbols, self._frames, self._blocks, self._tombstones, self._decoded)
        self._upkeep = Upkeep(
            self._frames,
            self._blocks,
            self._wal,
            self._tombstones,
            self._histograms,
            self._decoded,
            self._symbols,
            settings,
            keeps,
            clock,
            self._repeat,
            files,
        )
        self.thinning = self._upkeep.thinning(self.select)
        self._declared: dict[int, _Declared] = {}
        self._boot, self._declarations = secrets.randbits(31), 0
        self._samples = 0
        self._metadata_due = False
        self._ready = self._replaying = False
        self._lock: int | None = None

    @property
    def symbols(self) -> Symbols:
        return self._symbols

    @property
    def ready(self) -> bool:
        """Whether the log has been read and samples are taken."""
        return self._ready

    # -- life

    async def start(self) -> None:
        """Lock the directory and read the log; returns when samples can be taken.

        raises  Refused when another process has the directory; Damaged when its format is newer than this program
        """
        self._files.makedirs(DIRECTORY)
        self._lock = self._files.lock(f"{DIRECTORY}/lock")
        began = self._clock.monotonic_s()
        try:
            check_format(self._files)
            self._replaying = True
            await asyncio.to_thread(self._replay)
            self._replaying = False
            REPLAY_S.set(self._clock.monotonic_s() - began)
        except BaseException:
            self._files.close(self._lock)
            raise
        if self._room is not None:
            self._room.prepare()
        self._ready = True
        self._upkeep.start()
        took = round(self._clock.monotonic_s() - began, 3)
        log.info(
            "metrics_opened",
            series=self._frames.series,
            samples=self._samples,
            blocks=len(self._blocks.all()),
            seconds=took,
            damaged=self._wal.damaged,
        )

    async def stop(self) -> None:
        """Sync the log and let go of the directory."""
        self._ready = False
        await self._upkeep.stop()
        await self._wal.close()
        self._blocks.close()
        self._histograms.close()
        if self._lock is not None:
            self._files.close(self._lock)
            self._lock = None

    def stats(self) -> dict[str, int]:
        """Give series, samples, bytes on disk and in memory, and the times of the oldest and newest sample."""
        frames = self._frames.all()
        sealed, opened = sum(one.sealed_bytes for one in frames), sum(one.open_bytes for one in frames)
        return {
            "series": self._frames.series,
            "live_series": sum(one.live() for one in frames),
            "samples": self._samples,
            "bytes": self._wal.size_bytes + self._blocks.size_bytes + self._histograms.size_bytes,
            "blocks": len(self._blocks.all()),
            "memory_bytes": sealed + opened,
            "wal_segment": self._wal.segment,
            "damaged_records": self._wal.damaged,
            "newest_ms": self._frames.newest_ms(),
        }

    # -- writing

    def layout(self, source: str, series: Sequence[Labels]) -> FrameLayout:
        """Register series; see MetricWriter.layout."""
        if self._replaying:  # in a thread of its own
            raise Refused("cannot register series: got a store that is still reading its log, want it ready", 5)
        layout = self._frames.layout(source, series)
        SERIES.set(self._frames.series)
        return layout

    def append(self, rows: Sequence[Row]) -> Appended:
        """Store rows; see MetricWriter.append."""
        if not self._ready:
            raise Refused("cannot append samples: got a store that is starting or stopped, want it ready", 5)
        if self._room is not None:
            self._room.check()
        self._frames.admission.count(sum(len(row.values) for row in rows))
        limit_ms = self._clock.now_ms() + self._settings.future_ms_max
        alone = len(rows) == 1 or len({row.layout.source for row in rows}) == len(rows)
        settled = [self._histograms.settle(row) for row in rows]  # may be refused: before anything is remembered
        verdicts = [self._check(row, limit_ms, alone) for row in settled]
        logged = [verdict for verdict in verdicts if not verdict.empty]
        if logged:
            try:
                self._log(logged)
            except (Refused, OverLimit):
                for verdict in reversed(verdicts):
                    verdict.layout.frame.undo(verdict)
                raise
            self._take(logged)
        self._samples += sum(verdict.stored for verdict in verdicts)
        return sum_up(verdicts, with_histograms=any(row.histograms for row in rows))

    async def commit(self) -> None:
        """Return when all appended samples are on the disk; see MetricWriter.commit."""
        await self._wal.commit()

    def describe(self, families: Mapping[str, MetricMetadata]) -> None:
        """Keep what an exposition said about its families; see MetricWriter.describe."""
        fresh: dict[str, list[MetricMetadata]] = {}
        for name, said in families.items():
            known = self._metadata.get(name)
            if known is not None and said in known:
                continue
            if known is None and len(self._metadata) >= self._settings.families_max:
                continue
            fresh[name] = self._metadata[name] = [said, *(known or ())][:8]
        if fresh and self._ready:
            try:
                self._wal.append(METADATA, encode_metadata(fresh), 0)
            except (Refused, OverLimit) as error:
                log.warning("metadata_not_logged", families=len(fresh), error=str(error))

    def _check(self, row: Row, limit_ms: int, alone: bool) -> Verdict:
        layout = row.layout
        assert isinstance(layout, FrameLayout), "a layout of another store"
        assert row.values.shape == layout.columns.shape and row.values.dtype == np.float64, row.values.shape
        over: dict[str, int] = {}
        if layout.taken is not None:
            over = layout.samples_refused(row.values)
            row, layout = Row(layout.taken, row.time_ms, row.values[layout.kept], row.whole), layout.taken
        if layout.frame.retired:
            layout = self._frames.renewed(layout)
        window_ms = self._settings.out_of_order_window_ms
        verdict = layout.frame.check(row, layout, self._blocks.cutoff_ms - window_ms, limit_ms, window_ms, alone)
        verdict.over = over
        return verdict

    def _take(self, verdicts: Sequence[Verdict]) -> None:
        earliest_ms: dict[Frame, int] = {}
        for verdict in verdicts:
            frame = verdict.layout.frame
            frame.take(verdict)
            earliest_ms[frame] = min(verdict.time_ms, earliest_ms.get(frame, verdict.time_ms))
        for frame in earliest_ms:
            frame.publish()
        self._frames.changes.note(earliest_ms)

    # -- the log

    def _log(self, verdicts: Sequence[Verdict]) -> None:
        self._wal.roll_if_full()
        self._repeat()
        declarations, rows = [], []
        used: set[int] = set()
        for verdict in verdicts:
            layout = verdict.layout
            known = self._declared.get(layout.number)
            if known is None:
                self._declarations += 1
                known = _Declared(self._boot << 32 | self._declarations, verdict.values.copy())
                self._declared[layout.number] = known
            if known.uses < 2 and layout.number not in used:
                table = layout.frame.table_of(layout.columns)
                declarations.append(declare(known.number, layout.source, table, known.base))
            used.add(layout.number)
            difference = known.base.view(np.uint64) ^ verdict.values.view(np.uint64)
            rows.append(LoggedRow(known.number, verdict.time_ms, False, difference))
            if verdict.ended is not None:  # said one by one: what is read again may begin after their last samples
                self._declarations += 1
                number, stale = self._boot << 32 | self._declarations, np.full(len(verdict.ended), STALE)
                declarations.append(declare(number, layout.source, layout.frame.table_of(verdict.ended), stale))
                rows.append(LoggedRow(number, verdict.time_ms, False, np.zeros(len(stale), np.uint64)))
        newest = max(verdict.time_ms for verdict in verdicts)
        self._wal.append(ROWS, encode_rows(declarations, rows), newest, stay=True)
        for number in used:
            self._declared[number].uses += 1

    def _repeat(self) -> None:
        """Write into a new segment what is in no block, so that older segments can go.

        raises  Refused
        """
        if self._metadata_due and self._metadata:
            self._wal.append(METADATA, encode_metadata(self._metadata), 0, stay=True)
        self._metadata_due = False
        self.exemplars.repeat()

    def _log_exemplars(self, payload: bytes) -> None:
        if not self._ready:
            raise Refused("cannot keep exemplars: got a store that is starting or stopped, want it ready", 5)
        self._wal.append(EXEMPLARS, payload, 0, stay=True)

    def _segment_began(self, _number: int) -> None:
        self.exemplars.segment_began()
        self._declared.clear()
        self._metadata_due = True

    def _replay(self) -> None:
        self._tombstones.load()
        self._histograms.load()
        self._blocks.load()
        self._upkeep.load()
        layouts: dict[int, tuple[FrameLayout, Floats]] = {}
        told_s = self._clock.monotonic_s()
        for number, (kind, payload) in enumerate(self._wal.replay(self._blocks.mark), 1):
            if number % _RENEW_RECORDS == 0:
                self._upkeep.renew(self._frames.newest_ms())
                if self._clock.monotonic_s() - told_s > _PROGRESS_S:
                    told_s = self._clock.monotonic_s()
                    log.info("log_being_read", segment=self._wal.segment, records=number, samples=self._samples)
            try:
                if kind == ROWS:
                    self._replay_rows(payload, layouts)
                elif kind == METADATA:
                    self._metadata.update(decode_metadata(payload))
                elif kind == EXEMPLARS:
                    self.exemplars.replay(payload)
                else:
                    raise Damaged(f"cannot read record: got kind {kind}, want {ROWS}, {METADATA} or {EXEMPLARS}")
            except (Damaged, BadInput) as error:
                UNREADABLE.inc()
                log.warning("record_not_understood", kind=kind, error=str(error))
        self._frames.replayed()
        SERIES.set(self._frames.series)

    def _replay_rows(self, payload: bytes, layouts: dict[int, tuple[FrameLayout, Floats]]) -> None:
        declarations, rows = decode_rows(payload)
        for one in declarations:
            if one.number not in layouts:
                table = code_columns(one.labels, len(one.base), self._symbols)
                layouts[one.number] = (self._frames.restored(one.source, table), one.base)
        flushed_ms = self._blocks.cutoff_ms if self._wal.segment < self._blocks.mark else -(1 << 62)
        for row in rows:
            if row.time_ms < flushed_ms:
                continue
            known = layouts.get(row.number)
            if known is None:
                raise Damaged(f"cannot read rows: got layout {row.number:#x}, want one that is declared")
            layout, base = known
            if layout.frame.retired:
                layout = self._frames.renewed(layout)
            values = (row.values ^ base.view(np.uint64)).view(np.float64)
            restored = Row(layout, row.time_ms, values, row.whole)
            verdict = layout.frame.check(restored, layout, NEVER_MS, row.time_ms, 1 << 62, alone=True)
            layout.frame.take(verdict)
            self._samples += verdict.stored

    # -- upkeep

    async def keep_up(self) -> None:
        """Do now what is due; see Upkeep.once."""
        await self._upkeep.once()

    async def flush(self, cutoff_ms: int) -> bool:
        """Move all samples older than a moment into blocks; False when the disk did not take them."""
        return await self._upkeep.flush(cutoff_ms)

    async def delete_series(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> None:
        """Delete the samples of a closed range of the series that match any selector; on the disk when it returns.

        raises  Refused when the disk does not take it
        """
        await self._upkeep.delete(selectors, start_ms, end_ms)

    async def write_block(self, frames: Sequence[tuple[str, FrameSlice]]) -> int:
        """Store samples of any age as a block, past the log and the order of time; on the disk when it returns.

        frames   source and samples; labels coded with `symbols`. One call, one block: give it a stretch of time of all
                 sources together (two hours, a day), so that there are few blocks
        returns  how many samples there were, staleness markers not counted
        raises   Refused when the disk does not take it; nothing is stored then

        Where there is a sample of that series and moment already, that one is shown, and kept by compaction. What is
        past the retention goes at the next upkeep.
        """
        return await self._upkeep.write_block(frames)

    async def snapshot(self, directory: str) -> None:
        """Make a copy of all that is stored, below the data directory, that can be opened as one itself.

        directory  to be made; its blocks and log share their bytes with the store's where the disk can
        raises     Refused when the disk does not take it
        """
        await self._upkeep.snapshot(directory)

    def census(self, limit: int) -> Census:
        """Count the series in memory; see MetricAdmin.census."""
        return take_census(self._frames.all(), self._symbols, limit)

    def block_list(self) -> list[BlockSaid]:
        """Give the blocks; see MetricAdmin.block_list."""
        return [block.told() for block in self._blocks.all()]

    def tier_list(self) -> list[TierSaid]:
        """Give the tiers; see MetricAdmin.tier_list."""
        return [tier.told() for tier in self._upkeep.tiers]

    def replayed(self) -> tuple[int, int, int]:
        """Give segments of the log; see MetricAdmin.replayed."""
        return self._wal.first, max(self._wal.last, self._wal.segment), self._wal.segment

    async def clean_tombstones(self) -> None:
        """Write the blocks anew that hold deleted samples."""
        await self._upkeep.clean_tombstones()

    # -- reading

    def select(self, matchers: Matchers, start_ms: int, end_ms: int) -> Selection:
        """Give the samples of a closed range; see MetricReader.select."""
        views = self._views([matchers], start_ms, end_ms)
        missing = self._blocks.missing(start_ms, end_ms)
        found = select.select(views, matchers, start_ms, end_ms, self._decoded, self._tombstones, missing)
        return self._histograms.restore(found) if self._histograms else found

    @property
    def version(self) -> int:
        """Number of the newest change; see Changing.version."""
        return self._frames.changes.version

    def changed_since_ms(self, version: int, selectors: Sequence[Matchers]) -> int:
        """Say from when on samples may have changed; see Changing.changed_since_ms."""
        return self._frames.changes.since_ms(version, self._frames.named(name_codes(selectors, self._symbols)))

    def series(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> LabelTable:
        """Give the labels of matching series; see MetricReader.series."""
        chosen = selectors or [()]
        return select.series(self._known(chosen, start_ms, end_ms), chosen, start_ms, end_ms, self._symbols)

    def label_names(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[str]:
        """Give label names; see MetricReader.label_names."""
        chosen = selectors or [()]
        names, _ = select.label_codes(self._known(chosen, start_ms, end_ms), None, chosen, start_ms, end_ms)
        return sorted(names)

    def label_values(self, name: str, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[str]:
        """Give a label's values; see MetricReader.label_values."""
        chosen = selectors or [()]
        _, codes = select.label_codes(self._known(chosen, start_ms, end_ms), name, chosen, start_ms, end_ms)
        return sorted(self._symbols.text(code) for code in codes)

    def _views(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[View]:
        """Give the frames that may match; memory first: what moves into a block meanwhile is found twice, not never."""
        codes = name_codes(selectors, self._symbols)
        return [*self._frames.views(codes), *self._blocks.views(codes, start_ms, end_ms)]

    def _known(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[View]:
        names = name_codes(selectors, self._symbols)
        return [*self._views(selectors, start_ms, end_ms), *self.thinning.series_views(names, start_ms, end_ms)]

    def metadata(self) -> Mapping[str, Sequence[MetricMetadata]]:
        """Give what expositions said about families."""
        return MappingProxyType(dict(self._metadata))
