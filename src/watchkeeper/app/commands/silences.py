"""Commands that mute alerts: silence add, list, expire."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from watchkeeper.app.commands.asking import (
    cell,
    matcher_text,
    plain,
    print_json,
    read_matcher,
    server_at,
    server_options,
)
from watchkeeper.model.errors import BadInput


@click.group()
def silence() -> None:
    """Mute alerts: add, list, expire; once, or again and again by a schedule."""


@silence.command("add")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--duration", default="1h", show_default=True, help="How long; by the wall's clock when recurring.")
@click.option("--comment", required=True, help="Why; shown to everyone.")
@click.option("--confirm", is_flag=True, help="Make it though it would mute much.")
@click.option("--preview", is_flag=True, help="Only say what it would mute.")
@click.option("--at", multiple=True, help="Recurring: at this time of day, such as 22:00.")
@click.option("--weekdays", multiple=True, help="Recurring: on these days, such as monday:friday.")
@click.option("--days-of-month", multiple=True, help="Recurring: on these days of the month; -1 is the last.")
@click.option("--location", default="", help="Recurring: time zone, such as Europe/Berlin; UTC by default.")
@server_options
def silence_add(
    matchers: tuple[str, ...],
    duration: str,
    comment: str,
    confirm: bool,
    preview: bool,
    url: str,
    key: str,
    as_json: bool,
    **schedule: Any,
) -> None:
    r"""Mute the alerts that satisfy all MATCHERS from now on, or at the times of a schedule.

    One that would mute much is refused until --confirm is given, with what it would mute.

    \b
    watchkeeper silence add alertname=RedisDown 'instance=~"cache-.*"' --comment 'moving the cache' --duration 2h
    watchkeeper silence add service=batch --comment 'nightly import' --at 22:00 --duration 8h --location Europe/Berlin
    """
    server = server_at(url, key)
    body: dict[str, Any] = {"matchers": [matcher_text(read_matcher(text)) for text in matchers]}
    if preview:
        _print_preview(server.send("POST", "/api/silences/preview", body), as_json=as_json)
        return
    body |= {"for": duration, "comment": comment, "confirm": confirm}
    recurring = {name: value for name, value in schedule.items() if value}
    if not recurring:
        answer = server.send("POST", "/api/silences", body)
        print_json(answer) if as_json else click.echo(answer["silenceID"])
        return
    if not recurring.get("at"):
        raise BadInput("cannot make recurring silence: got no --at, want a time of day such as --at 22:00")
    answer = server.send("POST", "/api/recurring-silences", {**body, "schedule": recurring})
    if as_json:
        print_json(answer)
        return
    click.echo(answer["id"])
    for one in answer["next"]:
        click.echo(f"  {one['starts']} to {one['ends']}")


def _print_preview(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    click.echo(f"mutes {answer['affected']} of {answer['of']} alerts")
    for reason in answer["reasons"]:
        click.secho(plain(reason), fg="yellow")
    for one in answer["alerts"]:
        click.echo(plain("  " + " ".join(f'{name}="{value}"' for name, value in sorted(one["labels"].items()))))


@silence.command("list")
@click.option("--expired", is_flag=True, help="Those that are over, too.")
@click.option("--recurring", is_flag=True, help="The recurring ones instead, with their next times.")
@server_options
def silence_list(expired: bool, recurring: bool, url: str, key: str, as_json: bool) -> None:
    """List silences."""
    answer = server_at(url, key).get("/api/recurring-silences" if recurring else "/api/v2/silences")
    if as_json:
        print_json(answer)
        return
    if recurring:
        _print_recurring(answer)
        return
    table = Table("id", "state", "matchers", "ends", "by", "comment", box=None)
    for one in answer:
        state = one["status"]["state"]
        if state == "expired" and not expired:
            continue
        matchers = " ".join(matcher_text(matcher) for matcher in one["matchers"])
        cells = (cell(one["createdBy"]), cell(one["comment"]))
        table.add_row(one["id"], state, cell(matchers), one["endsAt"][:19], *cells)
    Console().print(table)


@silence.command("expire")
@click.argument("ids", nargs=-1, required=True)
@server_options
def silence_expire(ids: tuple[str, ...], url: str, key: str, as_json: bool) -> None:
    """End silences now; a recurring one with all its occurrences."""
    del as_json
    server = server_at(url, key)
    again = {one["id"] for one in server.get("/api/recurring-silences")}
    for one in ids:
        server.send("DELETE", f"/api/recurring-silences/{one}" if one in again else f"/api/silences/{one}")
        click.echo(one)


def _print_recurring(answer: list[dict[str, Any]]) -> None:
    table = Table("id", "matchers", "next", "by", "comment", box=None)
    for one in answer:
        following = one["next"][0] if one["next"] else {"starts": "never", "ends": ""}
        cells = (cell(" ".join(one["matchers"])), f"{following['starts'][:16]} to {following['ends'][:16]}")
        table.add_row(one["id"], *cells, cell(one["created_by"]), cell(one["comment"]))
    Console().print(table)
