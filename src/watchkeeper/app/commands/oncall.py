"""Commands of who is on call: why, ack, incident, heartbeats, and the test of a receiver."""

from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table

from watchkeeper.app.cli import EXIT_FAILED
from watchkeeper.app.commands.asking import (
    cell,
    labels_text,
    matcher_text,
    plain,
    print_json,
    read_matcher,
    server_at,
    server_options,
)


@click.command()
@click.argument("alert")
@click.argument("matchers", nargs=-1)
@click.option("--steps", default=50, show_default=True, help="Most steps of each alert, the latest.")
@server_options
def why(alert: str, matchers: tuple[str, ...], steps: int, url: str, key: str, as_json: bool) -> None:
    r"""Answer "why was I (not) paged?" for an alert, with its whole way.

    ALERT is its name; MATCHERS such as instance=web-1 choose among those of that name.

    \b
    watchkeeper why HostDown
    watchkeeper why RedisDown 'instance=~"cache-.*"' --json
    """
    filters = [matcher_text(read_matcher(text)) for text in matchers]
    answer = server_at(url, key).get("/api/alerts/why", {"alert": alert, "filter": filters, "limit": str(steps)})
    if as_json:
        print_json(answer)
        return
    for one in answer["alerts"]:
        _print_account(one)
    if answer["more"]:
        click.echo(f"… and {answer['more']} more alerts of that name: add MATCHERS to choose")
    for words in answer["rules"]:
        click.echo(plain(words))


def _print_account(one: dict[str, Any]) -> None:
    labels = dict(one["labels"])
    name = labels.pop("alertname", "")
    click.secho(plain(f"{name} {labels_text(labels)}: {one['state']} ({one['fingerprint']})"), bold=True)
    click.echo(plain(one["answer"]))
    if one["ack"]:
        click.echo(plain(f"Acknowledged by {one['ack']['by']} until {one['ack']['until']}: {one['ack']['comment']}"))
    if runbook := one["annotations"].get("runbook_url"):
        click.echo(plain(f"Runbook: {runbook}"))
    table = Table.grid(padding=(0, 2))
    for step in one["events"]:
        table.add_row("", step["time"][:19] + "Z", cell(step["text"]))
    Console().print(table)
    click.echo()


@click.command()
@click.argument("alert")
@click.argument("matchers", nargs=-1)
@click.option("--for", "lasts", default="", help="How long, such as 2h; on_call.ack_lasts by default.")
@click.option("--comment", default="", help="What is being done; shown to everyone.")
@click.option("--end", is_flag=True, help="End the acknowledgement instead.")
@server_options
def ack(
    alert: str, matchers: tuple[str, ...], lasts: str, comment: str, end: bool, url: str, key: str, as_json: bool
) -> None:
    r"""Acknowledge firing alerts: they are neither repeated nor escalated until that ends, or they do.

    ALERT is their name; MATCHERS choose among those of that name.

    \b
    watchkeeper ack RedisDown --comment 'failing over'
    watchkeeper ack HostDown instance=web-1 --for 30m
    watchkeeper ack HostDown instance=web-1 --end
    """
    server = server_at(url, key)
    filters = [matcher_text(read_matcher(text)) for text in (f"alertname={alert}", *matchers)]
    if end:
        held = {one["fingerprint"] for one in server.get("/api/acks")}
        found = [one["fingerprint"] for one in server.get("/api/v2/alerts", {"filter": filters})]
        for fingerprint in [one for one in found if one in held]:
            server.send("DELETE", f"/api/acks/{fingerprint}")
            click.echo(fingerprint)
        return
    answer = server.send("POST", "/api/acks", {"filter": filters, "for": lasts, "comment": comment})
    if as_json:
        print_json(answer)
        return
    for one in answer:
        click.echo(f"{one['fingerprint']} until {one['until']}")


@click.group()
def incident() -> None:
    """Look at an incident: note, draft."""


@incident.command("note")
@click.argument("fingerprint")
@click.argument("comment")
@server_options
def incident_note(fingerprint: str, comment: str, url: str, key: str, as_json: bool) -> None:
    r"""Write a note into an alert's timeline.

    \b
    watchkeeper incident note 8b1f00c2a7d3e914 'rolled back to 1.4.2'
    """
    del as_json
    server_at(url, key).send("POST", f"/api/incidents/{fingerprint}/notes", {"comment": comment})


@incident.command("draft")
@click.argument("fingerprint")
@server_options
def incident_draft(fingerprint: str, url: str, key: str, as_json: bool) -> None:
    r"""Print a post-mortem in Markdown, drafted from the timeline of an alert and those that were grouped with it.

    The fingerprint is the one that `watchkeeper why` and the alerts page show.

    \b
    watchkeeper incident draft 8b1f00c2a7d3e914 > post-mortem.md
    """
    server = server_at(url, key)
    if as_json:
        print_json(server.get(f"/api/incidents/{fingerprint}"))
        return
    click.echo(server.get(f"/api/incidents/{fingerprint}/draft"))


@click.command()
@server_options
def heartbeats(url: str, key: str, as_json: bool) -> None:
    """List the heartbeats that must come in, and when they last came."""
    answer = server_at(url, key).get("/api/heartbeats")
    if as_json:
        print_json(answer)
        return
    table = Table("name", "state", "every", "grace", "last seen", "due", box=None)
    for one in answer:
        style = {"good": "green", "missing": "bold red"}.get(one["state"], "dim")
        table.add_row(
            cell(one["name"]), cell(one["state"], style), one["every"], one["grace"], one["seen"] or "never", one["due"]
        )
    Console().print(table)


@click.command("receiver")
@click.argument("name")
@server_options
def test_receiver(name: str, url: str, key: str, as_json: bool) -> int:
    r"""Send a test alert through a receiver of a running server, end to end, and say what came of it.

    Exit status 0 when every way of the receiver took it.

    \b
    watchkeeper test receiver pager
    """
    answer = server_at(url, key).send("POST", f"/api/receivers/{quote(name, safe='')}/test", {})
    if as_json:
        print_json(answer)
    else:
        for one in answer["integrations"]:
            click.echo(plain(f"{one['integration']}: {one['error'] or 'taken'} ({one['took_ms']} ms)"))
        if not answer["integrations"]:
            click.echo("the receiver has no integrations")
    return 0 if answer["delivered"] else EXIT_FAILED
