"""Histories as OpenMetrics text with timestamps: what `import openmetrics` and promtool read."""

import re
from collections.abc import Mapping
from typing import BinaryIO

from watchkeeper.api.points_json import number_texts, stamp
from watchkeeper.model.frame import is_stale
from watchkeeper.model.history import History
from watchkeeper.model.labels import METRIC_NAME, Labels

_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ENDS = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "summary": ("", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "info": ("_info",),
}


def family_of(name: str, types: Mapping[str, str]) -> tuple[str, str]:
    """Give the family that a series name belongs to, and its type; the name itself and "unknown" when nothing fits.

    types  of the families that are known
    """
    for kind, ends in _ENDS.items():
        for end in ends:
            family = name.removesuffix(end) if end else name
            known = types.get(family) or (types.get(name) if kind == "counter" else None)
            if name.endswith(end) and known == kind:
                return family, kind
    known = types.get(name, "")
    return name, known if known in ("gauge", "stateset") else "unknown"


class OpenMetricsText:
    """Writes histories into a file, the series of a family one after the other.

    types  of the families that are known
    """

    def __init__(self, file: BinaryIO, types: Mapping[str, str]) -> None:
        self._file, self._types = file, types
        self._families: set[str] = set()

    def add(self, history: History) -> int:
        """Write the lines of all samples, staleness markers left out; gives how many there are."""
        kept = history.only(~is_stale(history.values))
        texts, at = number_texts(kept.values), 0
        stamps = [stamp(time_ms) for time_ms in kept.times.tolist()]
        for labels, count in zip(kept.series, kept.counts.tolist(), strict=True):
            self._begin(labels.get(METRIC_NAME, ""))
            head = _series(labels).encode() + b" "
            lines = [
                head + text + b" " + when + b"\n"
                for text, when in zip(texts[at : at + count], stamps[at : at + count], strict=True)
            ]
            self._file.write(b"".join(lines))
            at += count
        return at

    def finish(self) -> None:
        """Write the file's end."""
        self._file.write(b"# EOF\n")

    def _begin(self, name: str) -> None:
        family, kind = family_of(name, self._types)
        if family not in self._families:
            self._families.add(family)
            shown = family if _PLAIN_NAME.fullmatch(family) else _quoted(family)
            self._file.write(f"# TYPE {shown} {kind}\n".encode())


def _series(labels: Labels) -> str:
    name = labels.get(METRIC_NAME, "")
    plain = bool(_PLAIN_NAME.fullmatch(name))
    inside = [] if plain else [_quoted(name)]
    inside += [
        f"{key if _PLAIN_LABEL.fullmatch(key) else _quoted(key)}={_quoted(text)}"
        for key, text in sorted(labels.items())
        if key != METRIC_NAME
    ]
    block = "{" + ",".join(inside) + "}" if inside else ""
    return (name if plain else "") + block


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
