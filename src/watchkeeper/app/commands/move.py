"""`watchkeeper import`: what others have kept, into our data directory; a server that has it open takes it in."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from watchkeeper.app.config import load
from watchkeeper.collect.openmetrics_file import read_openmetrics
from watchkeeper.collect.tsdb.block import Block, find_blocks
from watchkeeper.collect.tsdb.reader import EVER, Found, Span, read_block, read_log, source_of
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.history import History
from watchkeeper.query.promql.parser import selectors
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.backfill import Backfill, open_backfill
from watchkeeper.store.settings import MetricSettings

_HAND_OVER_S = 90.0
_LOOK_S = 0.3

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="data",
    show_default=True,
    help="Our data directory, in use or not.",
)
_config_option = click.option(
    "--config", "where", type=click.Path(path_type=Path), help="Configuration that `up` uses, for its retention."
)


@click.group("import")
def import_() -> None:
    """Take over what others have kept: Prometheus' data directory, OpenMetrics files."""


@import_.command("prometheus")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--match", default="", metavar="SELECTOR", help="Only these series.")
@click.option("--start", type=float, default=None, help="Only samples from this moment on, Unix seconds.")
@click.option("--end", type=float, default=None, help="Only samples up to this moment, Unix seconds.")
@_data_option
@_config_option
def import_prometheus(
    folder: Path, match: str, start: float | None, end: float | None, data: Path, where: Path | None
) -> int:
    r"""Read a Prometheus' data directory: its blocks, and what is in its write-ahead log alone.

    Take a copy or a snapshot, or stop that Prometheus first. What was interrupted goes on with the first block that
    was not whole; what is there already is taken once.

    \b
    watchkeeper import prometheus /var/lib/prometheus/metrics2 --data /var/lib/watchkeeper
    watchkeeper import prometheus ./snapshot --match '{job="api"}' --start 1700000000
    """
    span = Span(
        EVER.start_ms if start is None else round(start * 1000),
        EVER.end_ms if end is None else round(end * 1000),
        tuple(selectors(match)) if match else (),
    )
    narrowed = f"-{match}-{start}-{end}" if match or start or end else ""
    blocks, found, failed = find_blocks(folder), Found(), 0
    logs = [path for path in (folder / "wal", folder / "wbl") if path.is_dir()]
    if not blocks and not logs:
        raise BadInput(f"cannot import {folder}: got neither blocks nor a log, want a Prometheus' data directory")
    with _writing(data, where) as backfill, _progress() as progress:
        task = progress.add_task("importing", total=len(blocks) + len(logs))
        newest_ms = EVER.start_ms
        for path in blocks:
            progress.update(task, description=path.name)
            try:
                newest_ms = max(newest_ms, _import_block(backfill, path, span, found, narrowed))
            except BadInput as fault:
                backfill.abandon()
                failed += 1
                progress.console.print(f"[red]{fault}[/red]", highlight=False)
            progress.advance(task)
        for path in logs:
            progress.update(task, description=path.name)
            late = path.name == "wbl"  # out-of-order samples: as old as they like
            _import_log(backfill, path, span if late else _after(span, newest_ms), found, narrowed)
            progress.advance(task)
        _tell(backfill, found, failed)
    return int(failed > 0)


def _import_block(backfill: Backfill, path: Path, span: Span, found: Found, narrowed: str) -> int:
    """Import a block; gives the time from which the log has more, as far as this block knows."""
    block = Block(path)
    try:
        meta = block.meta
        name = _file_name(f"{meta.ulid}{narrowed}")
        if not backfill.is_done(name) and meta.start_ms <= span.end_ms and meta.end_ms > span.start_ms:
            backfill.begin(meta.end_ms - meta.start_ms)
            for source, history in read_block(block, span, found):
                backfill.add(source, history)
            backfill.finish(name)
        return EVER.start_ms if meta.late else meta.end_ms
    finally:
        block.close()


def _import_log(backfill: Backfill, path: Path, span: Span, found: Found, narrowed: str) -> None:
    segments = sorted(one for one in path.glob("[0-9]*") if one.is_file())
    if not segments:
        return
    name = _file_name(f"{path.name}-{segments[-1].name}-{segments[-1].stat().st_size}{narrowed}")
    if backfill.is_done(name):
        return
    backfill.begin(0)
    for source, history in read_log(path, span, found):
        backfill.add(source, history)
    backfill.finish(name)


def _after(span: Span, time_ms: int) -> Span:
    return Span(max(span.start_ms, time_ms), span.end_ms, span.matchers)


def _file_name(text: str) -> str:
    return "".join(one if one.isalnum() or one in "-." else f"_{ord(one):x}" for one in text)[:200]


@import_.command("openmetrics")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE")
@_data_option
@_config_option
def import_openmetrics(path: Path, data: Path, where: Path | None) -> int:
    r"""Read samples with timestamps from a file in OpenMetrics, as `promtool tsdb create-blocks-from` does.

    \b
    watchkeeper import openmetrics old.om --data /var/lib/watchkeeper
    """
    found = Found()
    with _writing(data, where) as backfill, _progress() as progress, path.open("rb") as file:
        task = progress.add_task(path.name, total=max(path.stat().st_size, 1))
        backfill.begin(0)
        for history, read in read_openmetrics(file):
            for source, part in _by_source(history):
                backfill.add(source, part)
            found.series, found.samples = found.series + len(history.series), found.samples + len(history.times)
            progress.advance(task, read)
        backfill.finish()
        _tell(backfill, found, 0)
    return 0


def _by_source(history: History) -> Iterator[tuple[str, History]]:
    """Part series by what they arrived with."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, labels in enumerate(history.series):
        places[source_of(labels)].append(at)
    owners = history.owners()
    for source, series in sorted(places.items()):
        which = np.array(series, np.int64)
        mine = np.isin(owners, which)
        values = history.values.view(np.uint64)[mine].view(np.float64)
        yield source, History([history.series[at] for at in series], history.counts[which], history.times[mine], values)


@contextmanager
def _writing(data: Path, where: Path | None) -> Iterator[Backfill]:
    """Open our data directory, and say when what is written will not stay."""
    settings = load(where).own.metrics if where else MetricSettings()
    with open_backfill(RealFiles(data), settings, SystemClock()) as backfill:
        yield backfill
        if backfill.handed_over:
            _wait(backfill)
        oldest_ms = backfill.oldest_ms
        if oldest_ms is not None and oldest_ms < SystemClock().now_ms() - settings.retention_ms:
            kept = format_duration(settings.retention_ms)
            click.secho(
                f"samples older than {kept} go when `up` starts: set metrics.retention_ms to keep them",
                fg="yellow",
                err=True,
            )


def _wait(backfill: Backfill) -> None:
    """Wait until the server has taken all blocks in, with progress; it looks for them twice a minute."""
    total, until_s = backfill.waiting(), time.monotonic() + _HAND_OVER_S
    with _progress() as progress:
        task = progress.add_task("handing over", total=total)
        while (left := backfill.waiting()) and time.monotonic() < until_s:
            progress.update(task, completed=total - left)
            time.sleep(_LOOK_S)
        progress.update(task, completed=total - left)
    if left:
        click.secho(f"{left} blocks wait in metrics/incoming for the server to take them in", fg="yellow", err=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress


def _tell(backfill: Backfill, found: Found, failed: int) -> None:
    click.echo(f"{found.samples:,} samples read, {backfill.samples:,} written")
    if backfill.left_out:
        told = f"{backfill.left_out:,} native histograms left out: stop the server and import again to have them"
        click.secho(told, fg="yellow", err=True)
    if found.damaged:
        click.secho(f"{found.damaged} segments of the log were cut off where they are damaged", fg="yellow", err=True)
    if failed:
        click.secho(f"{failed} blocks are damaged and were left out", fg="red", err=True)
