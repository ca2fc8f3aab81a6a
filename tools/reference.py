"""Write docs/reference from the program itself: commands, settings, routes, metrics. `--check` only compares."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
from prometheus_client.core import Metric
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from watchkeeper.app.cli import cli
from watchkeeper.app.config import Loaded, PrometheusConfig
from watchkeeper.app.settings import OwnSettings
from watchkeeper.app.wiring import Options, build
from watchkeeper.collect.logs.promtail import PromtailConfig
from watchkeeper.model.duration import format_duration
from watchkeeper.model.metrics import REGISTRY
from watchkeeper.net.routing import Access, Role, Route
from watchkeeper.notify.route_tests import RouteTestFile
from watchkeeper.notify.settings import AlertmanagerConfig
from watchkeeper.rules.bundles import bundle, bundles, runbooks, subject

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
_NOTE = "<!-- Made by `make docs` from the source; change it there. -->\n"


def commands() -> str:
    """Give the page of every command's help."""
    parts = ["# Commands\n", _NOTE]
    for name, command in _every_command(cli, "watchkeeper"):
        context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
        parts += [f"\n## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"]
    return "".join(parts)


def _every_command(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _every_command(found, f"{name} {child}")


def settings() -> str:
    """Give the page of every file's fields."""
    parts = ["# Files and their fields\n", _NOTE]
    files: list[tuple[str, type[BaseModel]]] = [
        ("watchkeeper.yml", OwnSettings),
        ("prometheus.yml", PrometheusConfig),
        ("alertmanager.yml", AlertmanagerConfig),
        ("promtail.yml", PromtailConfig),
        ("tests of routing", RouteTestFile),
    ]
    for name, model in files:
        parts.append(f"\n## {name}\n")
        for section in _every_section(model, set()):
            doc = (section.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
            parts.append(f"\n### {section.__name__}\n\n{doc}\n\n| field | default | meaning |\n|---|---|---|\n")
            parts += [_field_row(field_name, field) for field_name, field in section.model_fields.items()]
    return "".join(parts)


def _every_section(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            yield from _every_section(inner, seen)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _field_row(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f" {extra['unit']}" if extra.get("unit") else ""
    if field.is_required():
        default = "required"
    elif field.default_factory is not None:
        made = field.default_factory()  # type: ignore[call-arg]
        default = "see its fields" if isinstance(made, BaseModel) else _shown(made)
    else:
        default = _shown(field.default) + unit
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{field.alias or name}` | {default} | {meaning} |\n"


def _shown(value: object) -> str:
    if value is None or value == "" or value in ((), [], {}):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`".replace("|", "\\|")


def routes(machine_routes: list[Route]) -> str:
    """Give the page of every path."""
    rows = [
        f"| {' '.join(route.methods)} | `{route.path}` | {_who(route.access)} | {route.summary} |\n"
        for route in sorted(machine_routes, key=lambda one: (one.path, one.methods))
    ]
    head = "\nPeople are let in by role, keys by scope; `admin` keys may do everything a key may.\n\n"
    return "".join(["# HTTP paths\n", _NOTE, head, "| method | path | who | what |\n|---|---|---|---|\n", *rows])


def _who(access: Access) -> str:
    if access.open:
        return "anybody"
    people = {Role.VIEWER: "viewer", Role.EDITOR: "editor", Role.ADMIN: "admin"}.get(access.role) if access.role else ""
    scopes = ", ".join(sorted(scope.value for scope in access.scopes))
    return "; ".join(part for part in (people, f"key: {scopes}" if scopes else "") if part)


def metrics() -> str:
    """Give the page of the program's own metrics."""
    rows = [_metric_row(family) for family in sorted(REGISTRY.collect(), key=lambda one: one.name)]
    return "".join(["# Metrics about itself\n", _NOTE, "\n| name | type | meaning |\n|---|---|---|\n", *rows])


def _metric_row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    meaning = family.documentation.replace("|", "\\|")
    return f"| `{name}` | {family.type} | {meaning} |\n"


def alerts() -> str:
    """Give the page of the built-in alerts."""
    parts = [
        "# Built-in alerts\n",
        _NOTE,
        "\nSwitched on by bundle: see [rules](../howto/rules.md#the-built-in-rules).\n",
    ]
    for name in bundles():
        parts.append(
            f"\n## {name}\n\n{subject(name)}\n\n| alert | severity | for | when | what to do |\n|---|---|---|---|---|\n"
        )
        for rule in (rule for group in bundle(name).groups for rule in group.rules if rule.alert):
            cells = (rule.expr, runbooks()[rule.alert])
            expr, help_text = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
            held = format_duration(rule.for_ms) if rule.for_ms else ""
            parts.append(f"| {rule.alert} | {rule.labels['severity']} | {held} | `{expr}` | {help_text} |\n")
    return "".join(parts)


def pages() -> dict[str, str]:
    """Give every page by file name."""
    with tempfile.TemporaryDirectory() as data:
        machine = build(Loaded(None), Options(data=Path(data), listen="127.0.0.1:9090"))
        made = {
            "alerts.md": alerts(),
            "commands.md": commands(),
            "configuration.md": settings(),
            "http.md": routes(list(machine.routes)),
            "metrics.md": metrics(),
        }
        machine.close()
    return made


def main() -> None:
    """Write the pages, or say which differ."""
    stale = [name for name, text in pages().items() if not _same(FOLDER / name, text)]
    if "--check" in sys.argv:
        if stale:
            sys.exit(f"docs/reference is not up to date: {', '.join(stale)}; run `make docs`")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
