"""alertmanager.yml, as Alertmanager 0.33 reads it.

Fields keep the file's names. What watchkeeper does not do yet is refused by name (`NotYet`), never dropped in silence.

source  Alertmanager docs, Configuration; verdicts compared with `amtool check-config`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, model_validator

from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.document import Path as Place
from watchkeeper.model.errors import BadConfig, BadConfigs
from watchkeeper.notify.field_types import (
    Duration,
    LabelEquals,
    LabelName,
    LabelRegexes,
    MatcherLines,
    MaybeDuration,
    NotYet,
    Secret,
    SecretUrl,
    Several,
    Text,
)
from watchkeeper.notify.http_settings import HttpConfig, TlsConfig
from watchkeeper.notify.mute import NamedIntervals

_ROUTE_DEPTH_MAX = 20


class GlobalConfig(Settings):
    """Defaults for all receivers, and the time after which a silent alert is over."""

    resolve_timeout: Duration = setting(300_000, "An alert without end time is over when not heard of for so long.")
    http_config: HttpConfig | None = setting(None, "HTTP settings of receivers that have none of their own.")
    jira_api_url: Text = setting("", "Read, for receivers to come.")
    smtp_from: Text = setting("", "Read, for receivers to come.")
    smtp_hello: Text = setting("localhost", "Read, for receivers to come.")
    smtp_smarthost: Text = setting("", "Read, for receivers to come.")
    smtp_auth_username: Text = setting("", "Read, for receivers to come.")
    smtp_auth_password: Secret | None = setting(None, "Read, for receivers to come.")
    smtp_auth_password_file: Text = setting("", "Read, for receivers to come.")
    smtp_auth_secret: Secret | None = setting(None, "Read, for receivers to come.")
    smtp_auth_secret_file: Text = setting("", "Read, for receivers to come.")
    smtp_auth_identity: Text = setting("", "Read, for receivers to come.")
    smtp_require_tls: bool = setting(True, "Read, for receivers to come.")
    smtp_tls_config: TlsConfig | None = setting(None, "Read, for receivers to come.")
    smtp_force_implicit_tls: bool | None = setting(None, "Read, for receivers to come.")
    slack_api_url: SecretUrl | None = setting(None, "Read, for receivers to come.")
    slack_api_url_file: Text = setting("", "Read, for receivers to come.")
    slack_app_token: Secret | None = setting(None, "Read, for receivers to come.")
    slack_app_token_file: Text = setting("", "Read, for receivers to come.")
    slack_app_url: Text = setting("https://slack.com/api/chat.postMessage", "Read, for receivers to come.")
    pagerduty_url: Text = setting("https://events.pagerduty.com/v2/enqueue", "Read, for receivers to come.")
    opsgenie_api_url: Text = setting("https://api.opsgenie.com/", "Read, for receivers to come.")
    opsgenie_api_key: Secret | None = setting(None, "Read, for receivers to come.")
    opsgenie_api_key_file: Text = setting("", "Read, for receivers to come.")
    wechat_api_url: Text = setting("https://qyapi.weixin.qq.com/cgi-bin/", "Read, for receivers to come.")
    wechat_api_secret: Secret | None = setting(None, "Read, for receivers to come.")
    wechat_api_secret_file: Text = setting("", "Read, for receivers to come.")
    wechat_api_corp_id: Text = setting("", "Read, for receivers to come.")
    victorops_api_url: Text = setting(
        "https://alert.victorops.com/integrations/generic/20131114/alert/", "Read, for receivers to come."
    )
    victorops_api_key: Secret | None = setting(None, "Read, for receivers to come.")
    victorops_api_key_file: Text = setting("", "Read, for receivers to come.")
    telegram_api_url: Text = setting("https://api.telegram.org", "Read, for receivers to come.")
    telegram_bot_token: Secret | None = setting(None, "Read, for receivers to come.")
    telegram_bot_token_file: Text = setting("", "Read, for receivers to come.")
    webex_api_url: Text = setting("https://webexapis.com/v1/messages", "Read, for receivers to come.")
    rocketchat_api_url: Text = setting("https://open.rocket.chat/", "Read, for receivers to come.")
    rocketchat_token: Secret | None = setting(None, "Read, for receivers to come.")
    rocketchat_token_file: Text = setting("", "Read, for receivers to come.")
    rocketchat_token_id: Secret | None = setting(None, "Read, for receivers to come.")
    rocketchat_token_id_file: Text = setting("", "Read, for receivers to come.")
    mattermost_webhook_url: SecretUrl | None = setting(None, "Read, for receivers to come.")
    mattermost_webhook_url_file: Text = setting("", "Read, for receivers to come.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        for name in (
            "slack_api_url",
            "slack_app_token",
            "opsgenie_api_key",
            "victorops_api_key",
            "smtp_auth_password",
            "smtp_auth_secret",
            "rocketchat_token",
            "rocketchat_token_id",
            "wechat_api_secret",
            "telegram_bot_token",
            "mattermost_webhook_url",
        ):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"at most one of {name} & {name}_file must be configured")
        return self


class RouteConfig(Settings):
    """A node of the routing tree, and what is below it."""

    receiver: Text = setting("", "Who is notified; the parent's by default.")
    group_by: tuple[LabelName, ...] | None = setting(
        None, "Labels that alerts of a group share; '...' for all; the parent's by default, and [] for one group."
    )
    match: LabelEquals = setting(dict, "Deprecated: matchers.")
    match_re: LabelRegexes = setting(dict, "Deprecated: matchers.")
    matchers: MatcherLines = setting((), "What an alert must satisfy.")
    mute_time_intervals: Several[str] = setting((), "No notifications inside these intervals.")
    active_time_intervals: Several[str] = setting((), "No notifications outside of these intervals.")
    continue_: bool = setting(False, "Go on to the next sibling after a match.", alias="continue")
    routes: Several["RouteConfig"] = setting((), "Children, first match first.")
    group_wait: MaybeDuration = setting(None, "How long a new group waits for more alerts; 30s at the root.")
    group_interval: MaybeDuration = setting(None, "How long until changes of a group are sent; 5m at the root.")
    repeat_interval: MaybeDuration = setting(None, "How long until an unchanged group is sent again; 4h at the root.")

    @model_validator(mode="after")
    def _checked(self) -> Self:
        group_by = self.group_by or ()
        if "..." in group_by and len(group_by) > 1:
            raise ValueError("cannot have wildcard group_by (`...`) and other labels at the same time")
        for at, name in enumerate(group_by):
            if name in group_by[:at]:
                raise ValueError(f"duplicated label {name!r} in group_by")
        if self.group_interval == 0:
            raise ValueError("group_interval cannot be zero")
        if self.repeat_interval == 0:
            raise ValueError("repeat_interval cannot be zero")
        return self


class InhibitRule(Settings):
    """While an alert fires that matches the source, alerts that match the target are muted."""

    name: Text = setting("", "Its name.")
    source_match: LabelEquals = setting(dict, "Deprecated: source_matchers.")
    source_match_re: LabelRegexes = setting(dict, "Deprecated: source_matchers.")
    source_matchers: MatcherLines = setting((), "What the alert that mutes satisfies.")
    target_match: LabelEquals = setting(dict, "Deprecated: target_matchers.")
    target_match_re: LabelRegexes = setting(dict, "Deprecated: target_matchers.")
    target_matchers: MatcherLines = setting((), "What the alert that is muted satisfies.")
    equal: Several[LabelName] = setting((), "Labels that both must have with equal values, or both lack.")


class WebhookConfig(Settings):
    """POSTs Alertmanager's JSON to a URL."""

    send_resolved: bool = setting(True, "Whether to tell when alerts are over.")
    http_config: HttpConfig | None = setting(None, "HTTP settings.")
    url: SecretUrl | None = setting(None, "Where to.")
    url_file: Text = setting("", "A file that holds where to.")
    max_alerts: int = setting(0, "At most so many alerts in a message; 0 is all.", ge=0)
    timeout: Duration = setting(0, "For the whole request; 0 is as long as the group has.")
    payload: NotYet = setting(None, "A template of the body; not supported yet.")

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.url is None and not self.url_file:
            raise ValueError("one of url or url_file must be configured")
        if self.url is not None and self.url_file:
            raise ValueError("at most one of url & url_file must be configured")
        return self


class InboxConfig(Settings):
    """Keeps notifications in watchkeeper's own inbox, which its UI shows."""

    send_resolved: bool = setting(True, "Whether to tell when alerts are over.")


def _receiver_name(name: object) -> object:
    if name in (None, ""):
        raise ValueError("missing name in receiver")
    return name


class Receiver(Settings):
    """Who is notified, and by which ways."""

    name: Annotated[str, BeforeValidator(_receiver_name)] = setting("", "Its name.", validate_default=True)
    labels: dict[str, str] | None = setting(None, "Labels of the receiver, shown by the API.")
    webhook_configs: Several[WebhookConfig] = setting((), "Webhooks.")
    inbox_configs: Several[InboxConfig] = setting((), "watchkeeper's own inbox.")
    discord_configs: NotYet = setting(None, "Not supported yet.")
    email_configs: NotYet = setting(None, "Not supported yet.")
    incidentio_configs: NotYet = setting(None, "Not supported yet.")
    pagerduty_configs: NotYet = setting(None, "Not supported yet.")
    slack_configs: NotYet = setting(None, "Not supported yet.")
    opsgenie_configs: NotYet = setting(None, "Not supported yet.")
    wechat_configs: NotYet = setting(None, "Not supported yet.")
    pushover_configs: NotYet = setting(None, "Not supported yet.")
    victorops_configs: NotYet = setting(None, "Not supported yet.")
    sns_configs: NotYet = setting(None, "Not supported yet.")
    telegram_configs: NotYet = setting(None, "Not supported yet.")
    webex_configs: NotYet = setting(None, "Not supported yet.")
    msteams_configs: NotYet = setting(None, "Not supported yet.")
    msteamsv2_configs: NotYet = setting(None, "Not supported yet.")
    jira_configs: NotYet = setting(None, "Not supported yet.")
    rocketchat_configs: NotYet = setting(None, "Not supported yet.")
    mattermost_configs: NotYet = setting(None, "Not supported yet.")


class AlertmanagerConfig(Settings):
    """The whole file."""

    global_: Annotated[GlobalConfig, BeforeValidator(lambda value: {} if value is None else value)] = setting(
        GlobalConfig, "Defaults.", alias="global"
    )
    route: RouteConfig | None = setting(None, "The routing tree.")
    inhibit_rules: Several[InhibitRule] = setting((), "Which alerts mute which others.")
    receivers: Several[Receiver] = setting((), "Who can be notified.")
    templates: Several[str] = setting((), "Template files; none of the receivers built so far uses one.")
    mute_time_intervals: Several[NamedIntervals] = setting((), "Deprecated: time_intervals.")
    time_intervals: Several[NamedIntervals] = setting((), "Named time intervals.")
    tracing: NotYet = setting(None, "Not supported yet.")
    event_recorder: NotYet = setting(None, "Not supported yet.")


DEFAULT_CONFIG = AlertmanagerConfig(
    route=RouteConfig(receiver="inbox", group_by=("alertname", "job")),
    receivers=(Receiver(name="inbox", inbox_configs=(InboxConfig(),)),),
)


def load_config(path: Path) -> AlertmanagerConfig:
    """Read alertmanager.yml; relative file names in it count from its directory.

    raises  BadInput with every fault: file, line, field, got, want
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or str(error), "a file that can be read") from None
    return read_config(content, str(path), path.parent)


def read_config(text: str | bytes, name: str, directory: Path | None = None) -> AlertmanagerConfig:
    """Read the text of an alertmanager.yml.

    directory  what relative file names in it are joined to; left as they are when None
    raises     BadInput with every fault
    """
    document = parse(text, name)
    config = document.read_as(AlertmanagerConfig)
    faults = list(_faults(config, document))
    if faults:
        raise BadConfigs(faults)
    config = _inherited(config)
    return config if directory is None else _resolved(config, directory)


def _inherited(config: AlertmanagerConfig) -> AlertmanagerConfig:
    """Give webhooks without HTTP settings the global ones."""
    shared = config.global_.http_config
    if shared is None:
        return config

    def filled(webhook: WebhookConfig) -> WebhookConfig:
        return webhook if webhook.http_config is not None else webhook.model_copy(update={"http_config": shared})

    receivers = tuple(
        one.model_copy(update={"webhook_configs": tuple(map(filled, one.webhook_configs))}) for one in config.receivers
    )
    return config.model_copy(update={"receivers": receivers})


def _faults(config: AlertmanagerConfig, document: Document) -> Iterator[BadConfig]:
    names: set[str] = set()
    for at, receiver in enumerate(config.receivers):
        if receiver.name in names:
            want = f"each name once (notification config name {receiver.name!r} is not unique)"
            yield document.fault(("receivers", at, "name"), repr(receiver.name), want)
        names.add(receiver.name)
    if config.route is None:
        yield document.fault(("route",), "nothing", "a route (no routes provided)")
        return
    yield from _root_faults(config.route, document)
    yield from _interval_faults(config, document)
    intervals = {one.name for one in (*config.mute_time_intervals, *config.time_intervals)}
    yield from _route_faults(config.route, ("route",), names, intervals, document)


def _root_faults(root: RouteConfig, document: Document) -> Iterator[BadConfig]:
    if not root.receiver:
        yield document.fault(("route", "receiver"), "nothing", "root route must specify a default receiver")
    for field in ("match", "match_re", "matchers"):
        if getattr(root, field):
            yield document.fault(("route", field), "matchers", "none: root route must not have any matchers")
    for field in ("mute_time_intervals", "active_time_intervals"):
        if getattr(root, field):
            words = field.replace("_", " ")
            yield document.fault(("route", field), "intervals", f"none: root route must not have any {words}")
    if root.continue_:
        yield document.fault(("route", "continue"), "true", "false: cannot have continue in root route")


def _interval_faults(config: AlertmanagerConfig, document: Document) -> Iterator[BadConfig]:
    seen: set[str] = set()
    for field in ("mute_time_intervals", "time_intervals"):
        for at, one in enumerate(getattr(config, field)):
            if one.name in seen:
                yield document.fault((field, at, "name"), repr(one.name), "each time interval once")
            seen.add(one.name)


def _route_faults(
    route: RouteConfig, place: Place, receivers: set[str], intervals: set[str], document: Document
) -> Iterator[BadConfig]:
    if len(place) > 2 * _ROUTE_DEPTH_MAX:
        yield document.fault(place, "a deeper tree", f"at most {_ROUTE_DEPTH_MAX} levels")
        return
    if route.receiver and route.receiver not in receivers:
        want = f"a receiver of this file (undefined receiver {route.receiver!r} used in route)"
        yield document.fault((*place, "receiver"), repr(route.receiver), want)
    for field in ("mute_time_intervals", "active_time_intervals"):
        for at, name in enumerate(getattr(route, field)):
            if name not in intervals:
                want = f"one of time_intervals (undefined time interval {name!r} used in route)"
                yield document.fault((*place, field, at), repr(name), want)
    for at, child in enumerate(route.routes):
        yield from _route_faults(child, (*place, "routes", at), receivers, intervals, document)


SettingsT = TypeVar("SettingsT", bound=Settings)


def _resolved(settings: SettingsT, directory: Path) -> SettingsT:
    """Give a copy whose file names are whole."""
    changed: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name.endswith("_file") and value:
            changed[name] = str(directory / value)
        elif name in ("files", "templates"):
            changed[name] = tuple(str(directory / file) for file in value)
        elif isinstance(value, Settings):
            changed[name] = _resolved(value, directory)
        elif isinstance(value, tuple) and any(isinstance(one, Settings) for one in value):
            changed[name] = tuple(_resolved(one, directory) for one in value)
        elif isinstance(value, dict) and any(isinstance(one, Settings) for one in value.values()):
            changed[name] = {key: _resolved(one, directory) for key, one in value.items()}
    return settings.model_copy(update=changed)
