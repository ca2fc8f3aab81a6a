"""`watchkeeper up`: run it."""

from pathlib import Path

import click
import uvloop

from watchkeeper.app import lean
from watchkeeper.app.journal import open_journal
from watchkeeper.app.lifecycle import run
from watchkeeper.app.wiring import ROLES, Options

assert lean.__doc__  # it is loaded for its effect, before anything that logs


@click.command()
@click.option(
    "--config",
    "where",
    type=click.Path(path_type=Path),
    help="Folder of configuration files, or one file; none: built-in.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="data",
    show_default=True,
    help="Where everything is kept.",
)
@click.option(
    "--listen", default=None, metavar="HOST:PORT", help="Address of the one listener.  [default: 127.0.0.1:9090]"
)
@click.option("--roles", default=",".join(ROLES), help="Parts to run, comma-separated; all by default.")
@click.option(
    "--auth",
    type=click.Choice(["on", "none"]),
    default="on",
    show_default=True,
    help="none: no sign-in; only on a loopback address.",
)
@click.option("--web.enable-admin-api", "admin_api", is_flag=True, help="Serve /api/v1/admin/tsdb to admins.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]), default="auto", show_default=True)
def up(
    where: Path | None,
    data: Path,
    listen: str | None,
    roles: str,
    auth: str,
    admin_api: bool,
    log_level: str,
    log_format: str,
) -> int:
    r"""Scrape, keep, evaluate, notify, and serve the web UI and the APIs.

    Without --config it watches this host and itself. SIGHUP, or POST /-/reload, takes in changed files; a bad file
    changes nothing. SIGTERM stops it within five seconds.

    \b
    watchkeeper up
    watchkeeper up --config /etc/watchkeeper --data /var/lib/watchkeeper --listen 0.0.0.0:9090
    """
    open_journal(log_level, log_format)
    chosen = frozenset(role.strip() for role in roles.split(",") if role.strip())
    unknown = sorted(chosen - set(ROLES))
    if unknown or not chosen:
        raise click.BadParameter(
            f"got {', '.join(unknown) or 'none'}, want some of {', '.join(ROLES)}", param_hint="--roles"
        )
    if "store" not in chosen:
        raise click.BadParameter(
            "got none with store: stores on other machines are not supported yet", param_hint="--roles"
        )

    options = Options(data, where, listen=listen, roles=chosen, auth_none=auth == "none", admin_api=admin_api)
    return uvloop.run(run(where, options))
