"""What every command that asks a server shares: its options, and text from outside made safe for a terminal."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import orjson
from rich.text import Text

from watchkeeper.app.remote import Server
from watchkeeper.model.errors import BadInput

_F = TypeVar("_F", bound=Callable[..., Any])
_MATCHER = re.compile(r'\s*([^=!~\s]+)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|(.*))\s*', re.DOTALL)
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"} | {127: "\u2421", 0x9B: "?"}


def server_options(command: _F) -> _F:
    """Add --url, --key and --json to a command."""
    for option in (
        click.option("--url", envvar="WATCHKEEPER_URL", default="http://127.0.0.1:9090", show_default=True),
        click.option("--key", envvar="WATCHKEEPER_KEY", default="", help="API key; better in $WATCHKEEPER_KEY."),
        click.option("--json", "as_json", is_flag=True, help="Print the server's JSON instead of a table."),
    ):
        command = option(command)
    return command


def server_at(url: str, key: str) -> Server:
    """Give the server at a URL."""
    return Server(url.rstrip("/"), key)


def print_json(answer: Any) -> None:
    """Print an answer as it came."""
    click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))


def labels_text(labels: dict[str, str]) -> str:
    """Write labels as Prometheus does."""
    name = labels.get("__name__", "")
    rest = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return f"{name}{{{rest}}}" if rest or not name else name


def cell(text: str, style: str = "") -> Text:
    """Give text from outside for a table: its brackets are no markup, its control characters no commands."""
    return Text(plain(text), style=style)


def plain(text: str) -> str:
    """Make control characters visible."""
    return text.translate(_CONTROLS)


def when(unix_s: float) -> str:
    """Write a moment."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def read_matcher(text: str) -> dict[str, object]:
    """Read name=value and its kin.

    raises  BadInput
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise BadInput(f'cannot read matcher {text!r}: want name=value, name!=value, name=~"regex" or name!~"regex"')
    name, op, quoted, bare = found.groups()
    value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    return {"name": name, "value": value, "isRegex": "~" in op, "isEqual": not op.startswith("!")}


def matcher_text(matcher: dict[str, Any]) -> str:
    """Write a matcher of the API."""
    op = ("=" if matcher.get("isEqual", True) else "!") + ("~" if matcher["isRegex"] else "")
    return f'{matcher["name"]}{"!=" if op == "!" else op}"{matcher["value"]}"'
