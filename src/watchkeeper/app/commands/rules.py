"""`watchkeeper rules`: what the built-in bundles hold."""

import click
from rich.console import Console
from rich.table import Table

from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.rules.bundles import bundle, bundles, runbooks, subject


@click.group()
def rules() -> None:
    r"""List and show the built-in rules.

    Switch bundles on by name in watchkeeper.yml: `watch: {rules: [host, services, redis]}`; `true` is all of them.
    """


@rules.command("list")
@click.argument("name", required=False)
def list_rules(name: str | None) -> None:
    r"""List the bundles, or one bundle's alerts.

    \b
    watchkeeper rules list
    watchkeeper rules list host
    """
    table = Table(box=None, pad_edge=False)
    if name is None:
        for column in ("BUNDLE", "ALERTS", "RECORDINGS", "WATCHES"):
            table.add_column(column)
        for one in bundles():
            every = [rule for group in bundle(one).groups for rule in group.rules]
            alerts = sum(bool(rule.alert) for rule in every)
            table.add_row(one, str(alerts), str(len(every) - alerts), subject(one))
    else:
        _known(name)
        for column in ("ALERT", "SEVERITY", "FOR", "WHEN"):
            table.add_column(column, overflow="fold")
        for rule in (rule for group in bundle(name).groups for rule in group.rules if rule.alert):
            held = format_duration(rule.for_ms) if rule.for_ms else ""
            table.add_row(rule.alert, rule.labels["severity"], held, rule.expr)
    Console(soft_wrap=True).print(table)


@rules.command("show")
@click.argument("name")
def show_rules(name: str) -> None:
    r"""Print a bundle as a rule file, to be changed and named in prometheus.yml; or what to do about an alert.

    \b
    watchkeeper rules show kafka > rules/kafka.yml
    watchkeeper rules show HighErrorRate
    """
    if name in runbooks():
        click.echo(runbooks()[name])
        return
    _known(name)
    click.echo(bundles()[name].read_text("utf-8"), nl=False)


def _known(name: str) -> None:
    if name not in bundles():
        raise BadInput(f"cannot find rules: got {name!r}, want one of {', '.join(bundles())}, or an alert's name")
