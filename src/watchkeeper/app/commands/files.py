"""Commands that read files: check, and test."""

from collections import Counter
from pathlib import Path

import click

from watchkeeper.app.cli import EXIT_FAILED, EXIT_USAGE
from watchkeeper.app.commands.oncall import test_receiver
from watchkeeper.app.config import Loaded, load
from watchkeeper.model.errors import BadConfigs, BadInput
from watchkeeper.model.pattern import compile_pattern
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
    """Run tests that are written in files: of rules, of routing, of PromQL; and a receiver for real."""


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
    by_outcome = {kind: [one for one in verdicts if one.outcome == kind] for kind in ("pass", "fail", "unsupported")}
    for one in by_outcome["fail"]:
        click.secho(f"{one.file}:{one.line}: {one.expr}: {one.detail}", fg="red", err=True)
    for detail, count in Counter(one.detail for one in by_outcome["unsupported"]).items():
        click.secho(f"not supported yet: {detail}: {count}", fg="yellow", err=True)
    passed, failed, unsupported = (len(found) for found in by_outcome.values())
    click.echo(f"{passed} passed, {failed} failed, {unsupported} not supported yet")
    return EXIT_FAILED if failed or unsupported else 0


@test.command("rules")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--run", "patterns", multiple=True, help="Only tests whose name this regular expression finds; repeatable."
)
@click.option("--junit", "report", type=click.Path(path_type=Path), help="Write the results as JUnit XML.")
def test_rules(files: tuple[Path, ...], patterns: tuple[str, ...], report: Path | None) -> int:
    r"""Run unit tests of rules, in promtool's file format.

    Exit status 0 when every test of every file passes.

    \b
    watchkeeper test rules alerts_test.yml
    watchkeeper test rules tests/*.yml --run '^disk' --junit report.xml
    """
    from watchkeeper.rules.unit_tests import junit, run_unit_tests  # noqa: PLC0415 (`check` has no use for an engine)

    chosen = [compile_pattern(pattern) for pattern in patterns]
    outcomes = run_unit_tests(files, lambda name: not chosen or any(one.search(name) is not None for one in chosen))
    if report is not None:
        report.write_bytes(junit(outcomes))
    for outcome in outcomes:
        click.echo(f"Unit Testing:  {outcome.path}")
        for warning in outcome.warnings:
            click.secho(f"  WARNING: {warning}", fg="yellow", err=True)
        for failure in outcome.failures:
            click.secho(f"  {failure}", fg="red", err=True)
        click.echo("  FAILED" if outcome.failures else "  SUCCESS")
    return EXIT_FAILED if any(outcome.failures for outcome in outcomes) else 0


@test.command("routes")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def test_routes(files: tuple[Path, ...]) -> int:
    r"""Run tests of alertmanager.yml: which receivers an alert reaches, grouped how, and what holds it back.

    Each FILE names the configuration and the tests:

    \b
    config: alertmanager.yml
    tests:
      - name: at night, warnings wait
        labels: {alertname: DiskFillsUp, severity: warning}
        at: 2024-01-13T03:00:00+01:00
        receivers: [slack]
        notified: []
        muted_by: [night]

    Exit status 0 when every test of every file passes; the help of each field is in the reference.

    \b
    watchkeeper test routes routes_test.yml
    """
    from watchkeeper.notify.route_tests import run_route_tests  # noqa: PLC0415 (the other commands do not need it)

    outcomes = [run_route_tests(path) for path in files]
    for outcome in outcomes:
        for failure in outcome.failures:
            click.secho(f"{outcome.path}:{failure.line}: {failure.name}: {failure.text}", fg="red", err=True)
            for line in failure.because:
                click.echo(f"    {line}", err=True)
        failed = len({(one.line, one.name) for one in outcome.failures})
        click.echo(f"{outcome.path}: {outcome.tests - failed} passed, {failed} failed")
    return EXIT_FAILED if any(outcome.failures for outcome in outcomes) else 0


test.add_command(test_receiver)
