"""Histories as OpenMetrics text with timestamps: what `import openmetrics` and promtool read."""

import re
from collections.abc import Mapping

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
END = b"# EOF\n"


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


def write_head(family: str, kind: str) -> bytes:
    """Give the line that begins a family."""
    return f"# TYPE {family if _PLAIN_NAME.fullmatch(family) else _quoted(family)} {kind}\n".encode()


def write_samples(history: History) -> tuple[bytes, int]:
    """Give the lines of all samples, staleness markers left out, and how many there are."""
    kept = history.only(~is_stale(history.values))
    texts, lines, at = number_texts(kept.values), list[bytes](), 0
    stamps = [stamp(time_ms) for time_ms in kept.times.tolist()]
    for labels, count in zip(kept.series, kept.counts.tolist(), strict=True):
        head = _series(labels).encode() + b" "
        lines += [
            head + text + b" " + when + b"\n"
            for text, when in zip(texts[at : at + count], stamps[at : at + count], strict=True)
        ]
        at += count
    return b"".join(lines), len(lines)


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
