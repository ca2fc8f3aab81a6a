"""What a push may hold: Loki's limits, with its reasons and its texts.

source  grafana/loki, pkg/validation
"""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import Entries
from watchkeeper.store.logs.columns import Columns, columns
from watchkeeper.store.logs.settings import LogSettings

_MS = 1_000_000


@dataclass(slots=True)
class Verdict:
    """What was refused so far: lines and bytes by reason, and the text of the first refusal."""

    lines: Tally[str] = field(default_factory=Tally)
    bytes: Tally[str] = field(default_factory=Tally)
    message: str = ""

    def refuse(self, reason: str, lines: int, size_bytes: int, message: str) -> None:
        """Count a refusal."""
        self.lines[reason] += lines
        self.bytes[reason] += size_bytes
        self.message = self.message or message


def stream_text(labels: Labels) -> str:
    """Write a stream as Loki does: {app="api", env="prod"}."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in labels.values())
    return "{" + ", ".join(f'{name}="{value}"' for name, value in zip(labels, quoted, strict=True)) + "}"


def stream_fault(labels: Labels, settings: LogSettings) -> tuple[str, str] | None:
    """Give reason and text when a stream's labels are beyond a limit."""
    if not labels:
        return "missing_labels", "error at least one label pair is required per stream"
    if len(labels) > settings.max_label_names_per_series:
        text = f"entry for stream '{stream_text(labels)}' has {len(labels)} label names; "
        return "max_label_names_per_series", text + f"limit {settings.max_label_names_per_series}"
    for name, value in labels.items():
        if len(name) > settings.max_label_name_length:
            return "label_name_too_long", f"stream '{stream_text(labels)}' has label name too long: '{name}'"
        if len(value) > settings.max_label_value_length:
            return "label_value_too_long", f"stream '{stream_text(labels)}' has label value too long: '{value}'"
    return None


def within_limits(entries: Entries, settings: LogSettings, now_ms: int, verdict: Verdict) -> Columns | None:
    """Give the lines of one stream that may be stored; None when none may."""
    lines = columns(entries.times_ns, entries.lines, entries.metadata)
    good = _timely(entries, lines, settings, now_ms, verdict)
    good &= _short(entries, lines, settings, verdict)
    if entries.metadata:
        good &= _modest(entries, good, settings, verdict)
    if good.all():
        return lines
    return lines.take(np.flatnonzero(good)) if good.any() else None


def _timely(
    entries: Entries, lines: Columns, settings: LogSettings, now_ms: int, verdict: Verdict
) -> npt.NDArray[np.bool_]:
    oldest = (now_ms - settings.reject_old_samples_max_age_ms) * _MS
    newest = (now_ms + settings.creation_grace_period_ms) * _MS
    old, new = lines.times < oldest, lines.times > newest
    for mask, reason in ((old, "greater_than_max_sample_age"), (new, "too_far_in_future")):
        if mask.any():
            when = _instant(int(lines.times[mask][0]))
            stream = stream_text(entries.labels)
            text = f"entry for stream '{stream}' has timestamp too new: {when}"
            if mask is old:
                text = f"entry for stream '{stream}' has timestamp too old: {when}, "
                text += f"oldest acceptable timestamp is: {_instant(oldest)}"
            verdict.refuse(reason, int(mask.sum()), _bytes(lines, mask), text)
    return ~(old | new)


def _short(entries: Entries, lines: Columns, settings: LogSettings, verdict: Verdict) -> npt.NDArray[np.bool_]:
    sizes = np.diff(lines.starts) - 1
    long = sizes > settings.max_line_size_bytes
    if long.any():
        text = f"Max entry size '{settings.max_line_size_bytes}' bytes exceeded for stream "
        text += f"'{stream_text(entries.labels)}' while adding an entry with length '{int(sizes[long][0])}' bytes"
        verdict.refuse("line_too_long", int(long.sum()), _bytes(lines, long), text)
    return ~long


def _modest(
    entries: Entries, good: npt.NDArray[np.bool_], settings: LogSettings, verdict: Verdict
) -> npt.NDArray[np.bool_]:
    fine = np.ones(len(good), np.bool_)
    stream = stream_text(entries.labels)
    for at, metadata in enumerate(entries.metadata):
        if not metadata or not good[at]:
            continue
        size = sum(len(name) + len(value) for name, value in metadata.items())
        if size > settings.max_structured_metadata_size_bytes:
            text = f"stream '{stream}' has structured metadata too large: '{size}' bytes, "
            text += f"limit: '{settings.max_structured_metadata_size_bytes}' bytes."
            verdict.refuse("structured_metadata_too_large", 1, len(entries.lines[at]), text)
            fine[at] = False
        elif len(metadata) > settings.max_structured_metadata_entries:
            text = f"stream '{stream}' has too many structured metadata labels: '{len(metadata)}', "
            text += f"limit: '{settings.max_structured_metadata_entries}'."
            verdict.refuse("structured_metadata_too_many", 1, len(entries.lines[at]), text)
            fine[at] = False
    return fine


def _bytes(lines: Columns, mask: npt.NDArray[np.bool_]) -> int:
    return int((np.diff(lines.starts)[mask] - 1).sum())


def _instant(time_ns: int) -> str:
    """Write a moment as Go's RFC 3339 does, in whole seconds."""
    seconds = min(max(time_ns // 1_000_000_000, -62_135_596_800), 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def total_lines(entries: Sequence[Entries]) -> int:
    """Count the lines of a push."""
    return sum(len(each.lines) for each in entries)
