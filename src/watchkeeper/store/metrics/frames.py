"""All frames of the store: by source for writing, by metric name for reading.

A frame's columns are never taken back, so a source whose series come and go is given a new frame when most columns
of the old one are dead. The old one is read until its samples are in blocks; layouts that were made for it
are exchanged when they are next used.
"""

from collections.abc import Callable, Sequence

import numpy as np

from watchkeeper.model.errors import OverLimit
from watchkeeper.model.labels import METRIC_NAME, Labels, LabelTable, Symbols
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.metrics.admission import Admission
from watchkeeper.store.metrics.changes import Changes
from watchkeeper.store.metrics.chunk import Columns
from watchkeeper.store.metrics.columns import code_labels
from watchkeeper.store.metrics.frame import NEVER_MS, Frame, FrameLayout, FrameView, Same, same_bits
from watchkeeper.store.metrics.sealing import Sealer
from watchkeeper.store.settings import MetricSettings

SERIES = gauge("prometheus_tsdb_head_series", "Total number of series in the head block.")
_CREATED = counter("prometheus_tsdb_head_series_created", "Total number of series created in the head")
_REMOVED = counter("prometheus_tsdb_head_series_removed", "Total number of series removed in the head")

_RENEW_COLUMNS_MIN = 256
_RENEWED_MAX = 100_000
_REPLAYED = 3  # chunks' rows that are sealed together while the log is read


class Frames:
    """Used by one thread, but for `views`.

    same    compares the cells of two samples of one moment
    series  columns of the frames that are written to
    """

    def __init__(
        self, symbols: Symbols, settings: MetricSettings, now_s: Callable[[], float], same: Same = same_bits
    ) -> None:
        self.admission = Admission(settings, symbols, now_s)
        self._symbols, self._settings, self._same = symbols, settings, same
        self._chunk_rows = settings.chunk_rows * _REPLAYED  # the log is read in a row: long chunks are packed faster
        self.sealer = Sealer()
        self._current: dict[str, Frame] = {}
        self._old: list[Frame] = []
        self._by_name: dict[int, list[Frame]] = {}  # code of a metric name → frames that have it
        self._renewed: dict[int, FrameLayout] = {}  # number of an old frame's layout → the one in its place
        self.changes = Changes()
        self.series = 0

    def all(self) -> list[Frame]:
        """Give every frame that may hold samples."""
        return [*list(self._current.values()), *list(self._old)]

    def restored(self, source: str, table: LabelTable) -> FrameLayout:
        """Give the layout of series that the log has: they were once within the limits."""
        return self._layout(self._frame(source), table)

    def layout(self, source: str, series: Sequence[Labels]) -> FrameLayout:
        """Give the layout of a list of series of a source.

        A series that is refused by itself has no column; its samples are counted as refused at every append.

        raises  OverLimit
        """
        frame = self._frame(source)
        refused = self.admission.refused(source, frame.index, series)
        if refused:
            series = [labels for at, labels in enumerate(series) if at not in refused]
        if not self._fits(frame, series):
            self._renew(frame, frame.alive(NEVER_MS))  # what has ended makes room
            frame = self._frame(source)
            self._check_limits(frame, series)
        before = frame.width
        layout = self._layout(frame, code_labels(series, self._symbols))
        if frame.width > before:
            self.admission.note(source, frame.table_of(np.arange(before, frame.width, dtype=np.int32)))
        return frame.layout_without(layout, refused) if refused else layout

    def renewed(self, layout: FrameLayout) -> FrameLayout:
        """Give the layout that stands for one whose frame is not written to any more."""
        known = self._renewed.get(layout.number)
        if known is None or known.frame.retired:
            table = layout.frame.table_of(layout.columns)
            known = self._layout(self._frame(layout.source), table)
            if len(self._renewed) >= _RENEWED_MAX:
                self._renewed.clear()
            self._renewed[layout.number] = known
        return known

    def newest_ms(self) -> int:
        """Give the time of the newest sample; 0 when there is none."""
        return max([0, *(frame.latest_ms for frame in self.all())])

    def views(self, names: Sequence[int | None] | None) -> list[FrameView]:
        """Give the frames that may match.

        names  codes of the metric names that are asked for (None: a name that nobody has); None for all
        """
        return [frame.view for frame in self.named(names)]

    def named(self, names: Sequence[int | None] | None) -> list[Frame]:
        """Give the frames with any of these metric names, as `views`."""
        if names is None:
            return self.all()
        found: dict[int, Frame] = {}
        for code in names:
            for frame in list(self._by_name.get(code, ())) if code is not None else ():
                found[id(frame)] = frame
        return list(found.values())

    def replayed(self) -> None:
        """Let readers see all frames; from now on they are written to a row at a time."""
        self._chunk_rows = self._settings.chunk_rows
        for frame in self._current.values():
            frame.set_chunk_rows(self._chunk_rows)
            frame.publish()

    # -- upkeep

    def renew(self, dead_before_ms: int) -> int:
        """Give a new frame to sources most of whose series ended, or were last heard of before a moment."""
        due = [frame for frame in self._current.values() if frame.width >= _RENEW_COLUMNS_MIN]
        due = [frame for frame in due if 2 * len(frame.alive(dead_before_ms)) < frame.width]
        for frame in due:
            self._renew(frame, frame.alive(dead_before_ms))
        return len(due)

    def _renew(self, frame: Frame, alive: Columns) -> None:
        if frame.source not in self._current or 8 * len(alive) > 7 * frame.width:
            return  # too little to gain
        frame.retire()
        self._old.append(frame)
        new = self._new(frame.source)
        new.succeed(frame.table_of(alive), frame.newest_ms[alive], frame.newest[alive])
        self._current[frame.source] = new
        self._note_names(new, 0)
        self.series += new.width - frame.width
        _REMOVED.inc(frame.width - new.width)

    def drop_before(self, time_ms: int) -> None:
        """Let go of chunks wholly older than a moment, and of frames that have nothing left."""
        dropped = [frame.drop_before(time_ms) for frame in self.all()]
        if any(dropped):
            self.changes.everything()
        self.drop_empty(time_ms)

    def drop_empty(self, time_ms: int) -> None:
        """Let go of frames that have no rows and had none since a moment."""
        gone = [frame for frame in self._old if frame.is_empty]
        for frame in list(self._current.values()):
            if frame.is_empty and 0 <= frame.latest_ms < time_ms:
                frame.retire()
                del self._current[frame.source]
                self.series -= frame.width
                _REMOVED.inc(frame.width)
                gone.append(frame)
        if gone:
            self._old = [frame for frame in self._old if not frame.is_empty]
            lost = set(map(id, gone))
            left = {
                code: [frame for frame in frames if id(frame) not in lost] for code, frames in self._by_name.items()
            }
            self._by_name = {code: frames for code, frames in left.items() if frames}
            self.changes.everything()  # what these frames remember of changes is lost

    # -- inside

    def _frame(self, source: str) -> Frame:
        frame = self._current.get(source)
        return self._new(source) if frame is None else frame

    def _new(self, source: str) -> Frame:
        frame = Frame(source, self._symbols, self._chunk_rows, self._settings.block_ms, self.sealer)
        frame.same = self._same
        return frame

    def _layout(self, frame: Frame, table: LabelTable) -> FrameLayout:
        columns, fresh = frame.index.find(table)
        before = frame.width
        if len(fresh):
            frame.widen(table.take(fresh))
            self.series += len(fresh)
            _CREATED.inc(len(fresh))
            self._recall(frame, before)
        self._current.setdefault(frame.source, frame)
        self._note_names(frame, before)
        return frame.layout(columns)

    def _recall(self, frame: Frame, before: int) -> None:
        """Let columns from a number on know what their source's old frames have: nothing older is taken."""
        for old in self._old:
            if old.source == frame.source:
                known, columns = old.index.locate(frame.index.hashes[before:])
                frame.newest_ms[before:][known] = old.newest_ms[columns[known]]
                frame.newest[before:][known] = old.newest[columns[known]]

    def _note_names(self, frame: Frame, before: int) -> None:
        """Add a frame to the index by the metric names that its columns from a number on brought."""
        if frame.width == before:
            return
        names = frame.index.table.column(METRIC_NAME)
        for code in np.setdiff1d(names[before:], names[:before]).tolist():
            self._by_name.setdefault(code, []).append(frame)

    def _fits(self, frame: Frame, series: Sequence[Labels]) -> bool:
        """Say whether there is room even if all series were new."""
        settings, number = self._settings, len(series)
        return frame.width + number <= settings.series_max_per_source and self.series + number <= settings.series_max

    def _check_limits(self, frame: Frame, series: Sequence[Labels]) -> None:
        of_source, in_all = self._settings.series_max_per_source, self._settings.series_max
        codes = self._symbols.overlay()  # so that what is refused leaves no strings behind
        fresh = len(frame.index.find(code_labels(series, codes))[1])
        if frame.width + fresh > of_source:
            raise OverLimit("series_max_per_source", frame.width + fresh, of_source)
        if self.series + fresh > in_all:
            raise OverLimit("series_max", self.series + fresh, in_all)
