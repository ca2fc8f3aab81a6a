"""`watchkeeper users` and `watchkeeper keys`: who may come in; works on the data directory, running or not."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from watchkeeper.api.accounts import Accounts
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.net.auditing import AuditEntry
from watchkeeper.net.routing import Scope
from watchkeeper.net.settings import AuthSettings
from watchkeeper.store.state.audit import AuditLog
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.users import ROLES

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="data",
    show_default=True,
    help="Data directory.",
)
_state_option = click.option(
    "--state",
    envvar="WATCHKEEPER_STATE_URL",
    default="",
    help="URL of the state store, if it is not in the data directory.",
)


@contextmanager
def _accounts(data: Path, state: str, action: str, **detail: Any) -> Iterator[Accounts]:
    """Open the accounts; what changes is in the audit log, as a change over HTTP would be."""
    if not state and not data.is_dir():
        raise BadInput(f"cannot find data directory {data}: start `watchkeeper up --data {data}` once, or name another")
    store = StateStore(state or f"sqlite:///{(data / 'state.db').absolute()}")
    try:
        accounts = Accounts(store, AuthSettings(), SystemClock())
        yield accounts
        if action:
            who = f"command line of {os.environ.get('USER', 'unknown')}"
            entry = AuditEntry(accounts.clock.now_ms(), who, "", action, "", 200, detail)
            AuditLog(store).append([entry])
    finally:
        store.close()


@click.group()
def keys() -> None:
    """API keys of programs and agents: add, list, revoke."""


@keys.command("add")
@click.argument("name")
@click.option(
    "--scopes", required=True, metavar="SCOPE,…", help=f"What it may do: {', '.join(scope.value for scope in Scope)}."
)
@click.option("--expires", default="", help="Good for this long, such as 90d; forever by default.")
@_data_option
@_state_option
def keys_add(name: str, scopes: str, expires: str, data: Path, state: str) -> None:
    r"""Make a key and print it, once.

    \b
    watchkeeper keys add grafana --scopes read
    watchkeeper keys add prometheus --scopes metrics:write --expires 365d
    watchkeeper keys add assistant --scopes agent
    """
    wanted = sorted({_scope(text.strip()) for text in scopes.split(",")})
    life_s = parse_duration(expires) // 1000 if expires else None
    with _accounts(data, state, "create_key", name=name, scopes=wanted) as accounts:
        made = accounts.make_key(name, wanted, "command line", life_s)
        if made is None:
            raise BadInput(f"cannot make key {name!r}: a good key has that name; revoke it or choose another")
    click.echo("Keep it safe: it is not shown again.", err=True)
    click.echo(made[1])


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        names = ", ".join(scope.value for scope in Scope)
        raise BadInput(f"cannot make key: got scope {text!r}, want some of {names}") from None


@keys.command("list")
@_data_option
@_state_option
def keys_list(data: Path, state: str) -> None:
    """List keys, without themselves."""
    table = Table("id", "name", "begins with", "scopes", "created", "used", "state", box=None)
    with _accounts(data, state, "") as accounts:
        now_ms = accounts.clock.now_ms()
        for key in accounts.keys.all():
            standing = "good" if key.is_good(now_ms) else "revoked" if key.revoked_ms else "expired"
            scopes = ", ".join(key.scopes)
            table.add_row(str(key.id), key.name, key.hint, scopes, _day(key.created_ms), _day(key.used_ms), standing)
    Console().print(table, markup=False)


@keys.command("revoke")
@click.argument("number", type=int)
@_data_option
@_state_option
def keys_revoke(number: int, data: Path, state: str) -> None:
    """Revoke the key of this id; holds within a second."""
    with _accounts(data, state, "revoke_key", id=number) as accounts:
        if not accounts.revoke_key(number):
            raise BadInput(
                f"cannot revoke key {number}: got no good key of that id, want one of `watchkeeper keys list`"
            )


@click.group()
def users() -> None:
    """People who may sign in: add, list, password, role, disable."""


@users.command("add")
@click.argument("login")
@click.option("--role", type=click.Choice(ROLES, case_sensitive=False), default="Viewer", show_default=True)
@click.option("--name", default="")
@click.option("--email", default="")
@click.password_option(help="Asked for when left out.")
@_data_option
@_state_option
def users_add(login: str, role: str, name: str, email: str, password: str, data: Path, state: str) -> None:
    """Add a person."""
    with _accounts(data, state, "create_user", login=login, role=role) as accounts:
        accounts.check_new_password(password)
        hashed = accounts.passwords.hash_now(password)
        if accounts.users.add(login, role, hashed, accounts.clock.now_ms(), name=name, email=email) is None:
            raise BadInput(f"cannot add user {login!r}: the login is taken")


@users.command("list")
@_data_option
@_state_option
def users_list(data: Path, state: str) -> None:
    """List people."""
    table = Table("login", "role", "name", "e-mail", "created", "disabled", box=None)
    with _accounts(data, state, "") as accounts:
        for user in accounts.users.all():
            disabled = "yes" if user.disabled else ""
            table.add_row(user.login, user.role, user.name, user.email, _day(user.created_ms), disabled)
    Console().print(table, markup=False)


@users.command("password")
@click.argument("login")
@click.password_option(help="Asked for when left out.")
@_data_option
@_state_option
def users_password(login: str, password: str, data: Path, state: str) -> None:
    """Give a person a new password; their sessions end."""
    with _accounts(data, state, "set_password", login=login) as accounts:
        asyncio.run(accounts.set_password(_user_id(accounts, login), password))


@users.command("role")
@click.argument("login")
@click.argument("role", type=click.Choice(ROLES, case_sensitive=False))
@_data_option
@_state_option
def users_role(login: str, role: str, data: Path, state: str) -> None:
    """Change what a person may do."""
    with _accounts(data, state, "set_role", login=login, role=role) as accounts:
        _demand_admin(accounts.users.set_role(_user_id(accounts, login), role), login)


@users.command("disable")
@click.argument("login")
@click.option("--undo", is_flag=True, help="Let them in again.")
@_data_option
@_state_option
def users_disable(login: str, undo: bool, data: Path, state: str) -> None:
    """Lock a person out; their sessions end."""
    with _accounts(data, state, "disable_user", login=login, disabled=not undo) as accounts:
        number = _user_id(accounts, login)
        _demand_admin(accounts.users.set_disabled(number, not undo), login)
        asyncio.run(accounts.end_sessions(number))


def _user_id(accounts: Accounts, login: str) -> int:
    user = accounts.users.by_login(login)
    if user is None:
        raise BadInput(f"cannot find user {login!r}: want one of `watchkeeper users list`")
    return user.id


def _demand_admin(done: bool, login: str) -> None:
    if not done:
        raise BadInput(f"cannot change {login!r}: no enabled admin would be left")


def _day(time_ms: int | None) -> str:
    return "" if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
