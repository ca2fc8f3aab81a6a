"""`watchkeeper replay`: who would have been paged, when, had these rules and routes been in force."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from watchkeeper.app.commands.asking import server_at, server_options
from watchkeeper.app.journal import open_journal
from watchkeeper.app.remote import Server
from watchkeeper.app.replay import Plan, Replayed, over_directory, plan
from watchkeeper.app.replay import replay as replay_plan
from watchkeeper.app.replay_json import Json, moment, replays_json
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadInput
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
@click.option("--on-server", is_flag=True, help="Let the server at --url do it, over its own history, instead.")
@server_options
def replay(start: str, end: str, data: Path, on_server: bool, url: str, key: str, as_json: bool, **files: Any) -> int:
    r"""Say what would have paged whom, when: rules and routes of today over stored history.

    Evaluates every rule over the range, lets what fires go through routes, groups, inhibition, mute times and the
    silences that are stored, and prints the notifications; of firings that nobody was told of, why. Alerts that were
    pending or firing at the start are found, too. With --against or --against-rules, prints what would differ.

    The data directory must not be open in a running server: ask that server with --on-server, or replay a snapshot of
    it (POST /api/v1/admin/tsdb/snapshot).

    \b
    watchkeeper replay --from 7d --rules draft.yml --config alertmanager.yml
    watchkeeper replay --on-server --from 7d --rules draft.yml
    watchkeeper replay --from 2026-03-01T00:00:00Z --to 2026-03-08T00:00:00Z --folder . --against new-alertmanager.yml
    """
    done = _asked(server_at(url, key), start, end, files) if on_server else _here(start, end, data, files)
    if as_json:
        click.echo(orjson.dumps(done, option=orjson.OPT_INDENT_2))
    else:
        _print(done)
    return 0


def _here(start: str, end: str, data: Path, files: dict[str, Any]) -> Json:
    """Replay a data directory in this process."""
    now_ms = time.time_ns() // 1_000_000
    start_ms, end_ms = moment(start, now_ms), moment(end, now_ms)
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
    return replays_json(over_directory(data, work))


def _asked(server: Server, start: str, end: str, files: dict[str, Any]) -> Json:
    """Let a running server do it, over its own history, rules and routes where none are given."""
    if files["folder"]:
        raise BadInput("cannot replay on a server: got --folder, want --rules and --config, or neither")

    def texts(rules: Sequence[Path], routes: Path | None) -> Json:
        told: Json = {"rules": [path.read_text("utf-8") for path in rules]} if rules else {}
        return told | ({"alertmanager": routes.read_text("utf-8")} if routes else {})

    body: Json = {"from": start, "to": end, **texts(files["rules"], files["config"])}
    if files["against"] or files["against_rules"]:
        body["against"] = texts(files["against_rules"] or files["rules"], files["against"] or files["config"])
    answer: Json = server.send("POST", "/api/replay", body)
    return answer


# ---- for people


def _print(done: Json) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_FILES)
    first, *others = done["replays"]
    for other in others:
        console.print(_summary(first), markup=False)
        console.print(_summary(other), markup=False)
        for mark, style, told in (("-", "red", done["onlyFirst"]), ("+", "green", done["onlySecond"])):
            console.print(_table(told, mark, style))
        return
    console.print(_table(first["notifications"]))
    if first["quiet"]:
        console.print("\nNobody was told of:", markup=False)
        table = Table(box=None, pad_edge=False)
        for column in ("FIRED", "LASTED", "ALERT", "WHY"):
            table.add_column(column, overflow="fold")
        for alert in first["quiet"]:
            table.add_row(alert["startsAt"], _lasted(alert), _cell(_named(alert["labels"])), _cell(alert["why"]))
        console.print(table)
    for rule, error in first["errors"].items():
        console.print(f"failed: {rule}: {error}", style="red", markup=False)
    console.print("\n" + _summary(first), markup=False)


def _table(told: Sequence[Json], mark: str = "", style: str = "") -> Table:
    table = Table(box=None, pad_edge=False, style=style)
    for column in ("WHEN", "RECEIVER", "STATE", "GROUP", "ALERTS", "WHY"):
        table.add_column(column, overflow="fold")
    for one in told:
        over = len(one["resolved"])
        state = f"{len(one['firing'])} firing" + (f", {over} over" if over else "")
        labels = ", ".join(f"{name}={text}" for name, text in one["groupLabels"].items())
        row = (f"{one['receiver']} {one['integration']}", state, labels, _alerts(one), one["reason"])
        table.add_row(f"{mark} {one['time']}".strip(), *map(_cell, row))
    return table


def _alerts(told: Json) -> str:
    names = [_named(one) for one in told["firing"]] + [f"{_named(one)} (over)" for one in told["resolved"]]
    more = f"; and {len(names) - _ALERTS_SHOWN} more" if len(names) > _ALERTS_SHOWN else ""
    return "; ".join(names[:_ALERTS_SHOWN]) + more


def _named(labels: dict[str, str]) -> str:
    rest = ", ".join(f"{name}={text}" for name, text in sorted(labels.items()) if name != "alertname")
    return f"{labels.get('alertname', '')}{{{rest}}}"


def _lasted(alert: Json) -> str:
    if not alert["endsAt"]:
        return "still"
    began, ended = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    return format_duration(round((ended - began).total_seconds() * 1000))


def _cell(text: str) -> Text:
    return Text(text.translate(_CONTROLS))


def _summary(one: Json) -> str:
    by_receiver = Counter(told["receiver"] for told in one["notifications"])
    counts = ", ".join(f"{name} {count}" for name, count in sorted(by_receiver.items())) or "none"
    told, quiet = len(one["notifications"]), len(one["quiet"])
    return f"{one['rules']} rules, {len(one['firings'])} firings, {told} notifications ({counts}), {quiet} quiet"
