"""Commands that ask a running server: query, targets, alerts, logs."""

import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from watchkeeper.app.commands.asking import (
    cell,
    labels_text,
    plain,
    print_json,
    server_at,
    server_options,
    when,
)
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput

_SEVERITY_STYLE = {"critical": "bold red", "warning": "yellow", "info": "blue"}


@click.command()
@click.argument("expr")
@click.option("--time", "at", default="", help="Moment to evaluate at, Unix seconds or RFC 3339; now by default.")
@click.option("--range", "length", default="", help="Evaluate over the last DURATION (such as 1h) instead of now.")
@click.option("--step", default="1m", show_default=True, help="Distance of points with --range.")
@click.option("--explain", is_flag=True, help="Show what each part of the expression gave and took.")
@server_options
def query(expr: str, at: str, length: str, step: str, explain: bool, url: str, key: str, as_json: bool) -> None:
    r"""Evaluate a PromQL expression.

    \b
    watchkeeper query up
    watchkeeper query --explain 'sum by (job) (rate(http_requests_total[5m]))'
    watchkeeper query --range 1h --step 5m 'sum by (job) (rate(http_requests_total[5m]))'
    """
    server = server_at(url, key)
    if length:
        end = time.time()
        start = end - parse_duration(length) / 1000
        asked: dict[str, str] = {"query": expr, "start": str(start), "end": str(end), "step": step}
    else:
        asked = {"query": expr, **({"time": at} if at else {})}
    path = "/api/v1/explain" if explain else "/api/v1/query_range" if length else "/api/v1/query"
    answer = server.get(path, asked)
    if as_json:
        print_json(answer)
        return
    for warning in [*answer.get("warnings", []), *answer.get("infos", [])]:
        click.echo(f"# {warning}", err=True)
    if explain:
        Console().print(_plan(answer["data"]["plan"]))
        return
    for line in result_lines(answer["data"]):
        click.echo(line)


def _plan(node: dict[str, Any]) -> Tree:
    """Draw a plan: time of the node alone and with what is below, series × steps, samples read, the text."""
    own, whole = node["selfSeconds"] * 1000, node["seconds"] * 1000
    took = "reused" if node.get("reused") else f"{own:.2f} of {whole:.2f} ms"
    size = f"{node['series']} × {node['steps']}"
    read = f", {node['samples']} samples" if node["samples"] else ""
    tree = Tree(Text(f"{took}  {size}{read}  {plain(node['expr'])[:100]}"))
    for child in node["children"]:
        tree.children.append(_plan(child))
    return tree


def result_lines(data: dict[str, Any]) -> list[str]:
    """Write a result as promtool does."""
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return [f"{result[1]} @[{result[0]}]"]
    if kind == "vector":
        return [f"{labels_text(one['metric'])} => {_point(one.get('value') or one['histogram'])}" for one in result]
    return [
        "\n".join(
            [f"{labels_text(one['metric'])} =>", *map(_point, [*one.get("values", ()), *one.get("histograms", ())])]
        )
        for one in result
    ]


def _point(point: list[Any]) -> str:
    """Write a sample as promtool does.

    source  github.com/prometheus/common, model/value_histogram.go
    """
    when, value = point
    if isinstance(value, dict):
        ends = ("(]", "[)", "()", "[]")
        buckets = [
            f"{ends[kind][0]}{lower},{upper}{ends[kind][1]}:{count}"
            for kind, lower, upper, count in value.get("buckets", ())
        ]
        count, total = (f"{float(value[part]):f}" for part in ("count", "sum"))
        value = f"Count: {count}, Sum: {total}, Buckets: [{' '.join(buckets)}]"
    return f"{value} @[{when}]"


@click.command()
@server_options
def targets(url: str, key: str, as_json: bool) -> None:
    """List what is scraped and how it went."""
    answer = server_at(url, key).get("/api/v1/targets", {"state": "active"})
    if as_json:
        print_json(answer)
        return
    table = Table("job", "instance", "health", "last scrape", "took", "error", box=None)
    for target in answer["data"]["activeTargets"]:
        labels = target["labels"]
        style = {"up": "green", "down": "red"}.get(target["health"], "dim")
        took = f"{target['lastScrapeDuration'] * 1000:.1f} ms"
        table.add_row(
            cell(labels.get("job", "")),
            cell(labels.get("instance", "")),
            cell(target["health"], style),
            target["lastScrape"][:19],
            took,
            cell(target["lastError"]),
        )
    Console().print(table)


@click.command()
@server_options
def alerts(url: str, key: str, as_json: bool) -> None:
    """List pending and firing alerts."""
    answer = server_at(url, key).get("/api/v1/alerts")
    if as_json:
        print_json(answer)
        return
    table = Table("state", "alert", "labels", "since", "value", box=None)
    for alert in sorted(answer["data"]["alerts"], key=lambda one: (one["state"], one["labels"]["alertname"])):
        labels = dict(alert["labels"])
        name, severity = labels.pop("alertname", ""), labels.get("severity", "")
        style = _SEVERITY_STYLE.get(severity, "white")
        table.add_row(
            alert["state"], f"[{style}]{name}[/]", labels_text(labels), alert["activeAt"][:19], alert["value"]
        )
    Console().print(table)


@click.command()
@click.argument("selector")
@click.option("--since", default="1h", show_default=True, help="How far back to look.")
@click.option("--limit", default=100, show_default=True, help="Most lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come.")
@server_options
def logs(selector: str, since: str, limit: int, follow: bool, url: str, key: str, as_json: bool) -> None:
    r"""Print the log lines that a LogQL query finds, oldest first.

    \b
    watchkeeper logs '{job="app"} |= "timeout"' --since 30m
    watchkeeper logs '{job="app"}' -f
    """
    server = server_at(url, key)
    start_ns = time.time_ns() - parse_duration(since) * 1_000_000
    while True:
        asked = {"query": selector, "start": str(start_ns), "end": str(time.time_ns()), "limit": str(limit)}
        direction = "forward" if follow else "backward"
        answer = server.get("/loki/api/v1/query_range", {**asked, "direction": direction})
        if as_json:
            print_json(answer)
        start_ns = _print_lines(answer["data"], start_ns, quiet=as_json)
        if not follow:
            return
        time.sleep(1)


def _print_lines(data: dict[str, Any], start_ns: int, *, quiet: bool) -> int:
    """Print streams in time order; gives the nanosecond after the last line."""
    if data["resultType"] != "streams":
        raise BadInput(f"cannot print {data['resultType']}: got a metric query, want one that selects lines")
    lines = [(int(value[0]), stream["stream"], value[1]) for stream in data["result"] for value in stream["values"]]
    for when_ns, labels, line in sorted(lines, key=lambda one: one[0]):
        if not quiet:
            text = f"{labels_text(labels)} {line}"
            click.echo(f"{when(when_ns / 1e9)} {plain(text) if sys.stdout.isatty() else text}")
        start_ns = max(start_ns, when_ns + 1)
    return start_ns
