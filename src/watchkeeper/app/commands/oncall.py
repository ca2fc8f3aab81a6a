"""Commands of who is on call: why."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table

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
    click.secho(plain(f"{name} {labels_text(labels)}: {one['state']}"), bold=True)
    click.echo(plain(one["answer"]))
    if runbook := one["annotations"].get("runbook_url"):
        click.echo(plain(f"Runbook: {runbook}"))
    table = Table.grid(padding=(0, 2))
    for step in one["events"]:
        table.add_row("", step["time"][:19] + "Z", cell(step["text"]))
    Console().print(table)
    click.echo()
