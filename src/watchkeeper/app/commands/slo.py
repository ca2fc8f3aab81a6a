"""`watchkeeper slo`: service level objectives as rules."""

from pathlib import Path

import click

from watchkeeper.rules.slo import slo_rules


@click.group()
def slo() -> None:
    r"""Make rules of service level objectives.

    A running server needs no such step: name the files in watchkeeper.yml, `watch: {slos: ['slo/*.yml']}`.
    """


@slo.command("generate")
@click.argument("file", type=click.Path(path_type=Path, exists=True))
def generate(file: Path) -> None:
    r"""Print the recording rules and burn-rate alerts of an SLO file (Sloth's format, prometheus/v1).

    \b
    watchkeeper slo generate slo/shop.yml > rules/shop-slo.yml
    """
    click.echo(slo_rules(file), nl=False)
