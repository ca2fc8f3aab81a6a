"""`watchkeeper export`: samples of a running server as a file that others read."""

import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from watchkeeper.app.openmetrics_text import OpenMetricsText, family_of
from watchkeeper.app.parquet_rows import ParquetRows
from watchkeeper.app.remote import Server
from watchkeeper.collect.remote_read import HEADERS, read_request, read_stream
from watchkeeper.model.history import History
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.parser import selectors


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["openmetrics", "parquet"]),
    default="openmetrics",
    show_default=True,
    help="Of the file.",
)
@click.option("--match", default='{__name__!=""}', show_default=True, metavar="SELECTOR", help="Which series.")
@click.option(
    "--start", type=float, default=None, help="First moment, Unix seconds.  [default: an hour before the end]"
)
@click.option("--end", type=float, default=None, help="Last moment, Unix seconds.  [default: now]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--url", envvar="WATCHKEEPER_URL", default="http://127.0.0.1:9090", show_default=True)
@click.option("--key", envvar="WATCHKEEPER_KEY", default="", help="API key; better in $WATCHKEEPER_KEY.")
def export(kind: str, match: str, start: float | None, end: float | None, output: Path, url: str, key: str) -> int:
    r"""Write samples of a running server to a file, one metric after the other; a real Prometheus answers as well.

    OpenMetrics is read again by `watchkeeper import openmetrics`, or `promtool tsdb create-blocks-from openmetrics`;
    Parquet (name, labels as JSON, timestamp, value) by DuckDB, pandas, Spark and the like. Moments at which series
    ended are left out.

    \b
    watchkeeper export --format parquet --match '{__name__="up"}' --output up.parquet
    watchkeeper export --match '{job="api"}' --start 1700000000 --end 1700086400 --output api.om
    """
    server = Server(url.rstrip("/"), key)
    end_ms = round((time.time() if end is None else end) * 1000)
    start_ms = end_ms - 3_600_000 if start is None else round(start * 1000)
    span = {"match[]": match, "start": str(start_ms / 1000), "end": str(end_ms / 1000)}
    matchers = selectors(match)
    names: list[str] = server.get(f"/api/v1/label/{METRIC_NAME}/values", span)["data"]
    told = server.get("/api/v1/metadata")["data"]
    types = {family: str(said[0]["type"]) for family, said in told.items() if said}
    count = 0
    with output.open("wb") as file, _progress() as progress:
        sink = ParquetRows(file) if kind == "parquet" else OpenMetricsText(file, types)
        task = progress.add_task("exporting", total=len(names))
        for name in sorted(names, key=lambda name: (family_of(name, types)[0], name)):
            progress.update(task, description=name[:40])
            for history in _ask(server, [*matchers, Matcher(METRIC_NAME, "=", name)], start_ms, end_ms):
                count += sink.add(history)
            progress.advance(task)
        sink.finish()
    click.echo(f"{count:,} samples of {len(names)} metrics in {output}")
    return 0


def _ask(server: Server, matchers: list[Matcher], start_ms: int, end_ms: int) -> Iterator[History]:
    with server.stream("/api/v1/read", read_request(matchers, start_ms, end_ms), HEADERS) as answer:
        yield from read_stream(answer)


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))
