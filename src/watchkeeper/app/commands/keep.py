"""`watchkeeper backup`, `restore`, `inspect`: what is done with a data directory as files."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from watchkeeper.app.backup import back_up, verify
from watchkeeper.app.backup import restore as put_back
from watchkeeper.model.errors import BadInput
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.inspect import BlockFound, MetricFound, look_at_blocks, look_at_histograms

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="data",
    show_default=True,
    help="The data directory.",
)


@click.command()
@click.argument("target", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@_data_option
def backup(target: Path, data: Path) -> int:
    r"""Back up a data directory into a new folder of FOLDER, while `up` runs or not.

    Samples, lines, and the state (users, keys, dashboards, silences) of one moment, each file with its checksum. What
    the last backup there has already takes no space again. A state store in PostgreSQL has its own backups.

    \b
    watchkeeper backup /backups --data /var/lib/watchkeeper
    """
    copied = back_up(data, target, time.time())
    new = copied.bytes - copied.linked_bytes
    click.echo(f"{copied.path}: {copied.files} files, {_size(copied.bytes)}, of which {_size(new)} new")
    return 0


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="BACKUP")
@_data_option
@click.option("--check-only", is_flag=True, help="Only check the files of this one backup.")
def restore(source: Path, data: Path, check_only: bool) -> int:
    r"""Copy a backup into a data directory that is empty; of a folder of backups, the newest.

    Every file is checked before any is copied.

    \b
    watchkeeper restore /backups --data /var/lib/watchkeeper
    watchkeeper restore /backups/20260301T120000Z --check-only
    """
    if check_only:
        faults = verify(source)
        for name in faults:
            click.secho(f"{name} is not as it was backed up", fg="red", err=True)
        click.echo(f"{len(faults)} damaged files")
        return int(bool(faults))
    copied = put_back(source, data)
    click.echo(f"{copied.path}: {copied.files} files, {_size(copied.bytes)}")
    return 0


@click.command()
@_data_option
@click.option(
    "--verify", "checked", is_flag=True, help="Read every part of every block, and every histogram, and check its sum."
)
@click.option("--metrics", "top", type=int, default=0, help="Show so many metrics that take most, and their bytes.")
def inspect(data: Path, checked: bool, top: int) -> int:
    r"""Say what lies in a data directory, in use or not: blocks, logs, sizes, and what compresses how well.

    Exit status 1 when --verify finds damage.

    \b
    watchkeeper inspect --data /var/lib/watchkeeper --verify --metrics 20
    """
    if not data.is_dir():
        raise BadInput(f"cannot inspect {data}: got no directory")
    found, metrics = look_at_blocks(RealFiles(data), verify=checked, by_metric=top > 0)
    console = Console()
    console.print(_blocks(found))
    if top:
        console.print(_metrics(metrics, top))
    for name, size in _sizes(data):
        click.echo(f"{name:<20}{_size(size):>12}")
    faults = [f"{one.name}: {fault}" for one in found for fault in one.faults]
    faults += look_at_histograms(RealFiles(data)) if checked else []
    for fault in faults:
        click.secho(fault, fg="red", err=True)
    if checked:
        click.echo(f"{len(faults)} damaged parts in {len(found)} blocks")
    return int(bool(faults))


def _blocks(found: list[BlockFound]) -> Table:
    table = Table("block", "from", "to", box=None)
    for name in ("series", "samples", "size", "bytes a sample"):
        table.add_column(name, justify="right")
    for one in found:
        each = f"{one.size_bytes / one.samples:.2f}" if one.samples else "–"
        row = (f"{one.series:,}", f"{one.samples:,}", _size(one.size_bytes), each)
        table.add_row(one.name, _when(one.first_ms), _when(one.last_ms), *row)
    return table


def _metrics(metrics: dict[str, MetricFound], top: int) -> Table:
    table = Table("metric", box=None)
    for name in ("values", "size", "bytes a value"):
        table.add_column(name, justify="right")
    for name, one in sorted(metrics.items(), key=lambda pair: -pair[1].bytes)[:top]:
        table.add_row(name, f"{one.values:,}", _size(round(one.bytes)), f"{one.bytes / max(one.values, 1):.2f}")
    return table


def _sizes(data: Path) -> list[tuple[str, int]]:
    folders = [data / store / part for store in ("metrics", "logs") for part in ("blocks", "wal")]
    folders += [data / "metrics" / "histograms", *sorted((data / "metrics").glob("tier-*"))]
    sizes = [
        (str(folder.relative_to(data)), sum(path.stat().st_blocks * 512 for path in folder.iterdir()))
        for folder in folders
        if folder.is_dir()
    ]
    state = [path for path in data.glob("state.db*") if path.is_file()]
    return [*sizes, ("state.db", sum(path.stat().st_size for path in state))]


def _size(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def _when(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"
