"""Commands that read files: check, and test."""

from pathlib import Path

import click

from watchkeeper.app.checking import DUPLICATE_RULES, LINTS, check_place
from watchkeeper.app.cli import EXIT_FAILED, EXIT_USAGE
from watchkeeper.app.commands.oncall import test_receiver
from watchkeeper.model.errors import BadConfigs, BadInput
from watchkeeper.model.pattern import compile_pattern

_EXIT_LINT = 3  # promtool's


@click.command()
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--lint",
    "lints",
    type=click.Choice(LINTS),
    multiple=True,
    default=(DUPLICATE_RULES,),
    show_default=True,
    help="What to look for in good files; repeatable.",
)
@click.option("--lint-fatal", is_flag=True, help="Exit with status 3 when --lint finds something.")
@click.option("--ignore-unknown-fields", is_flag=True, help="Take fields of rule files that are not known.")
def check(places: tuple[Path, ...], lints: tuple[str, ...], *, lint_fatal: bool, ignore_unknown_fields: bool) -> int:
    r"""Say what is wrong in the files of a folder, as `up` would; or in single files.

    Of a folder (the current one by default): prometheus.yml and its rule files, alertmanager.yml, promtail.yml,
    watchkeeper.yml and dashboards/*.json. A file is a rule file, an alertmanager.yml or a prometheus.yml, by what is
    in it. A file that ends in .prom, or `-` for standard input, holds metrics in the text format: their names are
    checked. Exit status 0 when all are good, 2 otherwise; 3 when names of metrics are doubtful, or with --lint-fatal.

    \b
    watchkeeper check /etc/watchkeeper
    watchkeeper check rules/*.yml --lint-fatal
    curl -s http://localhost:8080/metrics | watchkeeper check -
    """
    statuses = [
        _checked(place, lints, lint_fatal=lint_fatal, ignore_unknown=ignore_unknown_fields)
        for place in places or (Path(),)
    ]
    return EXIT_USAGE if EXIT_USAGE in statuses else max(statuses)


def _checked(place: Path, lints: tuple[str, ...], *, lint_fatal: bool, ignore_unknown: bool) -> int:
    click.echo(f"Checking {place}")
    try:
        checked = check_place(place, lints, ignore_unknown=ignore_unknown)
    except BadInput as error:
        faults = error.faults if isinstance(error, BadConfigs) else [error]
        click.secho("\n".join(map(str, faults)), fg="red", err=True)
        click.echo(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}", err=True)
        return EXIT_USAGE
    for fault in checked.faults:
        click.secho(fault, fg="red", err=True)
    for notice in (*checked.notices, *checked.lint):
        click.secho(notice, fg="yellow", err=True)
    for line in checked.told:
        click.echo(line)
    if checked.faults:
        return EXIT_USAGE
    if checked.lint and (lint_fatal or checked.is_fatal):
        return _EXIT_LINT
    click.echo("SUCCESS")
    return 0


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
    failed = [one for one in verdicts if one.outcome == "fail"]
    for one in failed:
        click.secho(f"{one.file}:{one.line}: {one.expr}: {one.detail}", fg="red", err=True)
    click.echo(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    return EXIT_FAILED if failed else 0


@test.command("rules")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--run", "patterns", multiple=True, help="Only tests whose name this regular expression finds; repeatable."
)
@click.option("--junit", "report", type=click.Path(path_type=Path), help="Write the results as JUnit XML.")
@click.option("--diff", is_flag=True, help="Show alerts that differ in one coloured list.")
@click.option("--debug", is_flag=True, help="Show all samples of each test: those given, and those that rules wrote.")
@click.option("--ignore-unknown-fields", is_flag=True, help="Take fields of rule files that are not known.")
def test_rules(
    files: tuple[Path, ...],
    patterns: tuple[str, ...],
    report: Path | None,
    *,
    diff: bool,
    debug: bool,
    ignore_unknown_fields: bool,
) -> int:
    r"""Run unit tests of rules, in promtool's file format.

    Exit status 0 when every test of every file passes.

    \b
    watchkeeper test rules alerts_test.yml
    watchkeeper test rules tests/*.yml --run '^disk' --junit report.xml
    watchkeeper test rules alerts_test.yml --diff --debug
    """
    from watchkeeper.rules.unit_test_report import in_colours, junit, plainly  # noqa: PLC0415
    from watchkeeper.rules.unit_tests import Options, run_unit_tests  # noqa: PLC0415 (`check` needs no engine)

    chosen = [compile_pattern(pattern) for pattern in patterns]
    options = Options(
        only=lambda name: not chosen or any(one.search(name) is not None for one in chosen),
        report=in_colours if diff else plainly,
        ignore_unknown=ignore_unknown_fields,
        debug=click.echo if debug else None,
    )
    outcomes = run_unit_tests(files, options)
    if report is not None:
        report.write_bytes(junit(outcomes))
    for outcome in outcomes:
        click.echo(f"Unit Testing:  {outcome.path}")
        for warning in outcome.warnings:
            click.secho(f"  WARNING: {warning}", fg="yellow", err=True)
        if outcome.failures:
            click.secho("  FAILED:", fg="red", err=True)
            click.echo("\n".join(outcome.failures), err=True)
        else:
            click.echo("  SUCCESS")
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
