"""A post-mortem document drafted from what the ledger kept: the facts filled in, the thinking left to people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.model.duration import format_duration
from watchkeeper.notify.gotext import rfc3339

_STEPS_MAX = 300


@dataclass(frozen=True, slots=True)
class Facts:
    """When an incident's milestones were, Unix ms; 0 when there was none."""

    began_ms: int
    told_ms: int
    acknowledged_ms: int
    resolved_ms: int


def facts(accounts: Sequence[Mapping[str, Any]]) -> Facts:
    """Find the milestones among the steps of all alerts of an incident."""

    def first(*kinds: str) -> int:
        found = [step["time_ms"] for one in accounts for step in one["events"] if step["kind"] in kinds]
        return min(found, default=0)

    over = all(one["state"] == "resolved" for one in accounts)
    ends = [step["time_ms"] for one in accounts for step in one["events"] if step["kind"] == "resolved"]
    return Facts(first("pending", "fired"), first("told"), first("acknowledged"), max(ends, default=0) if over else 0)


def draft(accounts: Sequence[Mapping[str, Any]], url: str) -> str:
    """Write the document.

    accounts  of the alerts of the incident, as `why` gives them; the first is what it is named after
    url       how people reach watchkeeper
    """
    main, known = accounts[0], facts(accounts)
    name = main["labels"].get("alertname", "an alert")
    severity = main["labels"].get("severity", "unknown")
    lines = [
        f"# Post-mortem: {_text(main['annotations'].get('summary') or name)}",
        "",
        "Draft, made from what was recorded. Sections in _italics_ are for people to write.",
        "",
        "| | |",
        "|---|---|",
        f"| Severity | {_text(severity)} |",
        f"| Began | {_when(known.began_ms)} |",
        f"| First told | {_when(known.told_ms)}{_after(known.began_ms, known.told_ms)} |",
        f"| Acknowledged | {_when(known.acknowledged_ms)}{_after(known.told_ms, known.acknowledged_ms)} |",
        f"| Over | {_when(known.resolved_ms)}{_after(known.began_ms, known.resolved_ms)} |",
        f"| People | {_text(', '.join(_people(accounts)) or 'nobody acknowledged')} |",
        "",
        "## Summary",
        "",
        _text(main["annotations"].get("description", "")) or "_What happened, in two sentences._",
        "",
        "## Impact",
        "",
        "_Who was affected, and how._",
        "",
        "## Alerts",
        "",
        *(_alert_line(one, url) for one in accounts),
        "",
        "## Timeline (UTC)",
        "",
        *_timeline(accounts),
        "",
        "## Root cause",
        "",
        "_Why it happened._",
        "",
        "## What went well, what did not",
        "",
        "_Detection, notification, runbook, repair._",
        "",
        "## Actions",
        "",
        "| action | owner | due |",
        "|---|---|---|",
        "| | | |",
        "",
    ]
    return "\n".join(lines)


def _timeline(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    seen: dict[tuple[int, str], list[str]] = {}
    for one in accounts:
        for step in one["events"]:
            where = seen.setdefault((step["time_ms"], step["text"]), [])
            where.append(one["labels"].get("alertname", "") + _distinct(one, accounts))
    lines = []
    for (time_ms, text), names in sorted(seen.items())[:_STEPS_MAX]:
        who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        lines.append(f"- {rfc3339(time_ms)} **{_text(who)}** {_text(text)}")
    if len(seen) > _STEPS_MAX:
        lines.append(f"- … {len(seen) - _STEPS_MAX} more steps")
    return lines


def _distinct(one: Mapping[str, Any], accounts: Sequence[Mapping[str, Any]]) -> str:
    """Give what tells an alert from others of its name: its instance, where there is one."""
    name, instance = one["labels"].get("alertname"), one["labels"].get("instance")
    alike = sum(other["labels"].get("alertname") == name for other in accounts)
    return f" ({instance})" if instance and alike > 1 else ""


def _alert_line(one: Mapping[str, Any], url: str) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(one["labels"].items()) if name != "alertname")
    runbook = one["annotations"].get("runbook_url", "")
    link = f", [runbook]({runbook})" if runbook.startswith(("http://", "https://")) and " " not in runbook else ""
    way = f"[its way]({url}/alerts?tab=history&alert={one['fingerprint']})"
    return f"- **{_text(one['labels'].get('alertname', ''))}** {_text(labels)}: {one['state']} ({way}{link})"


def _people(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    steps = [step for one in accounts for step in one["events"] if step["kind"] in ("acknowledged", "noted")]
    return list(dict.fromkeys(step["detail"]["by"] for step in steps))


def _when(time_ms: int) -> str:
    return rfc3339(time_ms) if time_ms else "not yet"


def _after(start_ms: int, end_ms: int) -> str:
    return f" ({format_duration((end_ms - start_ms) // 1000 * 1000)} later)" if 0 < start_ms < end_ms else ""


def _text(text: str) -> str:
    """Keep text from outside on one line, and from being markup."""
    plain = " ".join(text.split())
    for sign in "\\`*_{}[]<>|#":
        plain = plain.replace(sign, "\\" + sign)
    return plain
