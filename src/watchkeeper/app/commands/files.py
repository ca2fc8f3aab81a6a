"""Commands that read files: check, and test."""

from pathlib import Path

import click

from watchkeeper.app.cli import EXIT_FAILED, EXIT_USAGE
from watchkeeper.app.config import Loaded, load
from watchkeeper.model.errors import BadConfigs, BadInput
from watchkeeper.show.dashboards import Dashboards


@click.command()
@click.argument("place", type=click.Path(path_type=Path), default=".", metavar="[PATH]")
def check(place: Path) -> int:
    r"""Say what is wrong in the files of a folder (or in one prometheus.yml), as `up` would.

    Reads prometheus.yml and its rule files, alertmanager.yml, promtail.yml, watchkeeper.yml and dashboards/*.json.
    Exit status 0 when all are good, 2 otherwise.

    \b
    watchkeeper check /etc/watchkeeper
    """
    try:
        loaded = load(place)
    except BadInput as error:
        faults = error.faults if isinstance(error, BadConfigs) else [error]
        click.secho("\n".join(map(str, faults)), fg="red", err=True)
        click.echo(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}", err=True)
        return EXIT_USAGE
    dashboards = Dashboards([loaded.dashboards] if loaded.dashboards else [], builtin=None)
    for fault in dashboards.errors.values():
        click.secho(fault, fg="red", err=True)
    for notice in loaded.notices:
        click.secho(notice, fg="yellow", err=True)
    for line in _summary(loaded, dashboards):
        click.echo(line)
    return EXIT_USAGE if dashboards.errors else 0


def _summary(loaded: Loaded, dashboards: Dashboards) -> list[str]:
    rules = sum(file.rule_count for file in loaded.rule_files)
    return [
        f"files: {', '.join(loaded.files) or 'none: built-in configuration'}",
        f"scrape configs: {len(loaded.prometheus.scrape_configs)}",
        f"rules: {rules} in {len(loaded.rule_files)} {'file' if len(loaded.rule_files) == 1 else 'files'}",
        f"receivers: {len(loaded.alertmanager.receivers)}",
        f"dashboards: {len(dashboards.list())}",
        "SUCCESS",
    ]


@click.group()
def test() -> None:
    """Run tests that are written in files: PromQL scripts."""


@test.command("promql")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def test_promql(files: tuple[Path, ...]) -> int:
    r"""Run scripts in Prometheus' promqltest language (load, clear, eval).

    Exit status 0 when every evaluation of every file is as expected.

    \b
    watchkeeper test promql aggregators.test operators.test
    """
    from watchkeeper.query.promql.script import run_files  # noqa: PLC0415 (`check` has no use for arrays)

    verdicts = run_files(list(files))
    bad = [one for one in verdicts if one.outcome != "pass"]
    for one in bad:
        click.secho(f"{one.file}:{one.line}: {one.outcome}: {one.expr}: {one.detail}", fg="red", err=True)
    click.echo(f"{len(verdicts) - len(bad)} passed, {len(bad)} failed")
    return EXIT_FAILED if bad else 0
