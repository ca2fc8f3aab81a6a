"""The `watchkeeper` command. Commands are imported when called, so that each starts fast."""

import gc
import importlib
import keyword
import os
import sys

import click

import watchkeeper
from watchkeeper.model.errors import BadConfig, BadConfigs, WatchkeeperError

# No matrix products here: the linear algebra library's threads would only take memory. Read when NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# command → module in watchkeeper.app.commands that has a click command of that name
_COMMANDS = {
    "up": "serve",
    "check": "files",
    "test": "files",
    "rules": "rules",
    "slo": "slo",
    "replay": "replay",
    "query": "ask",
    "targets": "ask",
    "alerts": "ask",
    "logs": "ask",
    "silence": "silences",
    "why": "oncall",
    "ack": "oncall",
    "incident": "oncall",
    "heartbeats": "oncall",
    "users": "access",
    "keys": "access",
    "import": "move",
    "export": "give",
    "backup": "keep",
    "restore": "keep",
    "inspect": "keep",
}
EXIT_FAILED = 1
EXIT_USAGE = 2

_EPILOG = """\b
Examples:
  watchkeeper up                               watch this host and itself
  watchkeeper check ./monitoring               say what is wrong in the files there
  watchkeeper up --config ./monitoring         run with them
  watchkeeper query 'rate(node_cpu_seconds_total[5m])'
  watchkeeper why HostDown instance=web-1      why was I (not) paged?
  watchkeeper logs '{job="app"} |= "error"' --since 1h

Tab completion for bash (zsh, fish alike):
  eval "$(_WATCHKEEPER_COMPLETE=bash_source watchkeeper)"

Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        gc.disable()  # importing leaves no garbage worth the looking: a sixth of the time to start
        module = importlib.import_module(f"watchkeeper.app.commands.{_COMMANDS[cmd_name]}")
        gc.freeze()
        gc.enable()
        command = getattr(module, f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name)
        assert isinstance(command, click.Command)
        _keep_lines(command)
        return command


def _keep_lines(command: click.Command) -> None:
    """Turn the mark that examples are not to be wrapped, written in raw docstrings, into the one that click knows."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _keep_lines(one)


@click.group(cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(watchkeeper.__version__, prog_name="watchkeeper")
def cli() -> None:
    """A team's whole monitoring stack as one program: metrics, logs, rules, alerts, dashboards."""


def main() -> None:
    """Run the command; errors that happen to right programs are one line on standard error."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except WatchkeeperError as error:
        click.echo(f"watchkeeper: {error}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, BadConfig | BadConfigs) else EXIT_FAILED)
    except BrokenPipeError:  # `watchkeeper query … | head` is done when head is
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
