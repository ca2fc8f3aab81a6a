"""`watchkeeper replay`: who would have been paged, when, had these rules and routes been in force."""

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from watchkeeper.app.journal import open_journal
from watchkeeper.app.replay import Plan, Replayed, difference, over_directory, plan
from watchkeeper.app.replay import replay as replay_plan
from watchkeeper.model.alert import Alert
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.notify.rehearsal import Told
from watchkeeper.notify.silence import Silence

_file = click.Path(path_type=Path, exists=True)
_CONTROLS = {code: chr(0x2400 + code) for code in range(32)} | {127: "\u2421", 0x9B: "?"}
_ALERTS_SHOWN = 4
_WIDTH_IN_FILES = 240


@click.command("replay")
@click.option("--from", "start", default="1d", show_default=True, help="RFC 3339, Unix seconds, or so long ago (7d).")
@click.option("--to", "end", default="0s", help="Likewise; now by default.")
@click.option("--data", type=click.Path(path_type=Path), default="data", show_default=True, help="Data directory.")
@click.option("--folder", type=_file, help="Configuration folder with rules and routes; built-in ones by default.")
@click.option("--rules", type=_file, multiple=True, help="Rule file instead of the folder's; may be repeated.")
@click.option("--config", type=_file, help="alertmanager.yml instead of the folder's.")
@click.option("--against-rules", type=_file, multiple=True, help="Rule files to compare with.")
@click.option("--against", type=_file, help="alertmanager.yml to compare with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(start: str, end: str, data: Path, as_json: bool, **files: Any) -> int:
    r"""Say what would have paged whom, when: rules and routes of today over stored history.

    Evaluates every rule over the range, lets what fires go through routes, groups, inhibition, mute times and the
    silences that are stored, and prints the notifications; of firings that nobody was told of, why. Alerts that were
    pending or firing at the start are found, too. With --against or --against-rules, prints what would differ.

    The data directory must not be open in a running server: replay a snapshot of it
    (POST /api/v1/admin/tsdb/snapshot), or a copy.

    \b
    watchkeeper replay --from 7d --rules draft.yml --config alertmanager.yml
    watchkeeper replay --from 2026-03-01T00:00:00Z --to 2026-03-08T00:00:00Z --folder . --against new-alertmanager.yml
    """
    now_ms = time.time_ns() // 1_000_000
    start_ms, end_ms = _moment(start, now_ms), _moment(end, now_ms)
    tried = [plan(files["folder"], files["rules"], files["config"])]
    if files["against"] or files["against_rules"]:
        other_rules = files["against_rules"] or files["rules"]
        tried.append(plan(files["folder"], other_rules, files["against"] or files["config"]))

    def work(reader: MetricReader, silences: Sequence[Silence]) -> list[Replayed]:
        with Progress(console=Console(stderr=True), transient=True) as shown:

            def one(tried: Plan) -> Replayed:
                task = shown.add_task("replaying", total=1.0)
                return replay_plan(
                    reader, tried, start_ms, end_ms, silences, lambda part: shown.update(task, completed=part)
                )

            return [one(each) for each in tried]

    open_journal("warning")
    done = over_directory(data, work)
    if as_json:
        click.echo(orjson.dumps(_json(done), option=orjson.OPT_INDENT_2))
    else:
        _print(done)
    return 0


def _moment(text: str, now_ms: int) -> int:
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return round(float(text) * 1000)
    try:
        return now_ms - parse_duration(text)
    except BadInput:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"cannot read time: got {text!r}, want RFC 3339, Unix seconds or a duration ago") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


# ---- for people


def _print(done: list[Replayed]) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_FILES)
    first = done[0]
    if len(done) > 1:
        differs = difference(first, done[1])
        console.print(_summary(first), markup=False)
        console.print(_summary(done[1]), markup=False)
        for mark, style, told in (("-", "red", differs.only_first), ("+", "green", differs.only_second)):
            console.print(_table(told, mark, style))
        return
    console.print(_table(first.rehearsed.told))
    quiet = _quiet(first)
    if quiet:
        console.print("\nNobody was told of:", markup=False)
        table = Table(box=None, pad_edge=False)
        for column in ("FIRED", "LASTED", "ALERT", "WHY"):
            table.add_column(column, overflow="fold")
        for alert, why in quiet:
            table.add_row(_when(alert.starts_at_ms), _lasted(alert), _cell(_named(alert)), _cell(why))
        console.print(table)
    for rule, error in first.history.errors.items():
        console.print(f"failed: {rule}: {error}", style="red", markup=False)
    console.print("\n" + _summary(first), markup=False)


def _table(told: Sequence[Told], mark: str = "", style: str = "") -> Table:
    table = Table(box=None, pad_edge=False, style=style)
    for column in ("WHEN", "RECEIVER", "STATE", "GROUP", "ALERTS", "WHY"):
        table.add_column(column, overflow="fold")
    for one in told:
        state = f"{len(one.firing)} firing" + (f", {len(one.resolved)} over" if one.resolved else "")
        labels = ", ".join(f"{name}={text}" for name, text in one.labels)
        row = (f"{one.receiver} {one.way}", state, labels, _alerts(one), one.reason)
        table.add_row(f"{mark} {_when(one.time_ms)}".strip(), *map(_cell, row))
    return table


def _alerts(told: Told) -> str:
    every = [*told.firing, *told.resolved]
    names = [f"{_named(one)}{' (over)' if one in told.resolved else ''}" for one in every[:_ALERTS_SHOWN]]
    return "; ".join(names) + (f"; and {len(every) - _ALERTS_SHOWN} more" if len(every) > _ALERTS_SHOWN else "")


def _named(alert: Alert) -> str:
    rest = ", ".join(f"{name}={text}" for name, text in sorted(alert.labels.items()) if name != "alertname")
    return f"{alert.labels.get('alertname', '')}{{{rest}}}"


def _lasted(alert: Alert) -> str:
    return format_duration(alert.ends_at_ms - alert.starts_at_ms) if alert.ends_at_ms else "still"


def _cell(text: str) -> Text:
    return Text(text.translate(_CONTROLS))


def _when(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _quiet(one: Replayed) -> list[tuple[Alert, str]]:
    why = one.rehearsed.quiet
    places = ((alert, (alert.fingerprint, alert.starts_at_ms)) for alert in one.alerts)
    return [(alert, why[place]) for alert, place in places if place in why]


def _summary(one: Replayed) -> str:
    by_receiver = Counter(told.receiver for told in one.rehearsed.told)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(by_receiver.items())) or "none"
    told, quiet = len(one.rehearsed.told), len(_quiet(one))
    return f"{one.history.rules} rules, {len(one.alerts)} firings, {told} notifications ({counts}), {quiet} quiet"


# ---- for programs


def _json(done: list[Replayed]) -> dict[str, Any]:
    shown: dict[str, Any] = {"replays": [_replay_json(one) for one in done]}
    if len(done) > 1:
        differs = difference(done[0], done[1])
        shown["onlyFirst"] = [_told_json(one) for one in differs.only_first]
        shown["onlySecond"] = [_told_json(one) for one in differs.only_second]
    return shown


def _replay_json(one: Replayed) -> dict[str, Any]:
    return {
        "notifications": [_told_json(told) for told in one.rehearsed.told],
        "firings": [_alert_json(alert) for alert in one.alerts],
        "quiet": [{**_alert_json(alert), "why": why} for alert, why in _quiet(one)],
        "errors": one.history.errors,
    }


def _told_json(told: Told) -> dict[str, Any]:
    return {
        "time": _when(told.time_ms),
        "receiver": told.receiver,
        "integration": told.way,
        "groupLabels": dict(told.labels),
        "groupKey": told.group_key,
        "reason": told.reason,
        "firing": [alert.labels for alert in told.firing],
        "resolved": [alert.labels for alert in told.resolved],
    }


def _alert_json(alert: Alert) -> dict[str, Any]:
    ends = _when(alert.ends_at_ms) if alert.ends_at_ms else None
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": _when(alert.starts_at_ms),
        "endsAt": ends,
    }
