"""The configuration as Alertmanager shows it in `config.original`: every default there, secrets as <secret>.

`amtool config` loads this text again, so fields of our own are left out of it.
"""

from typing import Any

import yaml
from pydantic import SecretStr

from watchkeeper.model.document import Settings
from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.net.http_config import HttpConfig
from watchkeeper.net.proxy import redacted
from watchkeeper.notify.field_types import SECRET_TOKEN, DurationMark
from watchkeeper.notify.matcher import LabelMatcher
from watchkeeper.notify.settings import AlertmanagerConfig, Receiver

_ALWAYS = frozenset(
    {
        *("continue", "send_resolved", "max_alerts", "timeout", "url_file", "templates", "resolve_timeout"),
        *("short_fields", "link_names", "update_message"),
    }
)
_OURS = frozenset({"inbox_configs"})
_SUBJECT = '{{ template "email.default.subject" . }}'
_SHOWN_WHEN_FALSE = _ALWAYS | {"follow_redirects", "insecure_skip_verify"}


def shown_config(config: AlertmanagerConfig) -> str:
    """Write the configuration as YAML, without secrets."""
    http = _tree(config.global_.http_config or HttpConfig())
    tree = _tree(config.model_copy(update={"receivers": ()}))
    tree["global"] = _with(tree["global"], "resolve_timeout", http_config=http)
    tree["global"] = _with(tree["global"], "smtp_require_tls", smtp_tls_config={"insecure_skip_verify": False})
    places = list(tree)
    receivers = [_receiver(one, http) for one in config.receivers]
    tree["receivers"] = receivers
    order = [*places[: places.index("templates")], "receivers", *places[places.index("templates") :]]
    tree = {name: tree[name] for name in order}
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def _receiver(receiver: Receiver, http: dict[str, Any]) -> dict[str, Any]:
    tree = _with(_tree(receiver), "name", labels={"name": receiver.name})
    for name, configs in tree.items():
        if name.endswith("_configs") and name != "email_configs":
            tree[name] = [_with(one, "send_resolved", http_config=http) for one in configs]
    for config in tree.get("pushover_configs", ()):
        config.update({name: _go_duration(config[name]) for name in ("retry", "expire", "ttl") if name in config})
    for at, config in enumerate(tree.get("email_configs", ())):
        own = {name.title(): value for name, value in config.get("headers", {}).items()}
        named = own or {"From": config.get("from", ""), "Subject": _SUBJECT, "To": config["to"]}
        before = {name: value for name, value in config.items() if name not in ("html", "text", "require_tls")}
        rest = {name: value for name, value in config.items() if name not in before}
        whole = {**before, "headers": dict(sorted(named.items())), **rest}
        tree["email_configs"][at] = _with(whole, "require_tls", tls_config={"insecure_skip_verify": False})
    return tree


def _go_duration(text: str) -> str:
    """Write a duration as Go does, which says the smaller units, too."""
    seconds = parse_duration(text) / 1000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{seconds:g}s"
    return f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}" if minutes else shown


def _with(tree: dict[str, Any], after: str, **added: Any) -> dict[str, Any]:
    """Give a mapping with one more field after another, unless it has that field."""
    out: dict[str, Any] = {}
    for name, value in tree.items():
        out[name] = value
        if name == after:
            out.update({one: default for one, default in added.items() if one not in tree})
    return out


class _Dumper(yaml.SafeDumper):
    """Writes every occurrence in full: a reader of secrets-free YAML should not meet anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _tree(settings: Settings) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field, info in type(settings).model_fields.items():
        name, value = info.alias or field, getattr(settings, field)
        if name in _OURS or (value in (None, "", (), {}) and name not in _ALWAYS):
            continue
        if value == 0 and name in ("ttl", "message_thread_id", "chat_id"):
            continue
        if value is False and name not in _SHOWN_WHEN_FALSE:
            continue
        if name == "url_file" and not value and not hasattr(settings, "max_alerts"):
            continue
        if any(isinstance(mark, DurationMark) for mark in info.metadata):
            out[name] = format_duration(value)
        else:
            out[name] = _plain(settings, field, value)
    return out


def _plain(settings: Settings, field: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return SECRET_TOKEN
    if field == "proxy_url":
        return redacted(value)
    if isinstance(value, Settings):
        return _tree(value)
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):  # ranges of a time interval know how they are written
            return settings.model_dump(include={field})[field]
        return [_plain(settings, field, one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(settings, field, one) for key, one in sorted(value.items())}
    return str(value) if isinstance(value, LabelMatcher) else value
