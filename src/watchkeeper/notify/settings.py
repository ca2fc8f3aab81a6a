"""alertmanager.yml, as Alertmanager 0.33 reads it.

Fields keep the file's names. What has no effect here is checked as there, and noticed when the file is read.

source  Alertmanager docs, Configuration; verdicts compared with `amtool check-config`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, model_validator

from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.document import Path as Place
from watchkeeper.model.errors import BadConfig, BadConfigs, BadInput
from watchkeeper.model.fields import Secret, Several, Text
from watchkeeper.net.http_config import HttpConfig, TlsConfig
from watchkeeper.notify.chat_settings import (
    DiscordConfig,
    MattermostConfig,
    MsteamsConfig,
    Msteamsv2Config,
    RocketchatConfig,
    SlackConfig,
    TelegramConfig,
    WebexConfig,
    WechatConfig,
)
from watchkeeper.notify.field_types import (
    Duration,
    HostPort,
    LabelEquals,
    LabelName,
    LabelRegexes,
    MatcherLines,
    MaybeDuration,
    SecretUrl,
    Url,
)
from watchkeeper.notify.mute import NamedIntervals
from watchkeeper.notify.observing_settings import EventRecorderConfig, TracingConfig
from watchkeeper.notify.receiver_settings import (
    EmailConfig,
    HttpReceiverSettings,
    InboxConfig,
    OpsgenieConfig,
    PagerdutyConfig,
    PushoverConfig,
    ReceiverSettings,
    SnsConfig,
    VictoropsConfig,
    WebhookConfig,
)
from watchkeeper.notify.template import Templates
from watchkeeper.notify.ticket_settings import IncidentioConfig, JiraConfig

_ROUTE_DEPTH_MAX = 20


class GlobalConfig(Settings):
    """Defaults for all receivers, and the time after which a silent alert is over."""

    resolve_timeout: Duration = setting(300_000, "An alert without end time is over when not heard of for so long.")
    http_config: HttpConfig | None = setting(None, "HTTP settings of receivers that have none of their own.")
    jira_api_url: Url = setting("", "The same of receivers that leave it empty.")
    smtp_from: Text = setting("", "The same of receivers that leave it empty.")
    smtp_hello: Text = setting("localhost", "The same of receivers that leave it empty.")
    smtp_smarthost: HostPort = setting("", "The same of receivers that leave it empty.")
    smtp_auth_username: Text = setting("", "The same of receivers that leave it empty.")
    smtp_auth_password: Secret | None = setting(None, "The same of receivers that leave it empty.")
    smtp_auth_password_file: Text = setting("", "The same of receivers that leave it empty.")
    smtp_auth_secret: Secret | None = setting(None, "The same of receivers that leave it empty.")
    smtp_auth_secret_file: Text = setting("", "The same of receivers that leave it empty.")
    smtp_auth_identity: Text = setting("", "The same of receivers that leave it empty.")
    smtp_require_tls: bool = setting(True, "The same of receivers that leave it empty.")
    smtp_tls_config: TlsConfig | None = setting(None, "The same of receivers that leave it empty.")
    smtp_force_implicit_tls: bool | None = setting(None, "The same of receivers that leave it empty.")
    slack_api_url: SecretUrl | None = setting(None, "The same of receivers that leave it empty.")
    slack_api_url_file: Text = setting("", "The same of receivers that leave it empty.")
    slack_app_token: Secret | None = setting(None, "The same of receivers that leave it empty.")
    slack_app_token_file: Text = setting("", "The same of receivers that leave it empty.")
    slack_app_url: Url = setting("https://slack.com/api/chat.postMessage", "The same of receivers that leave it empty.")
    pagerduty_url: Url = setting(
        "https://events.pagerduty.com/v2/enqueue", "The same of receivers that leave it empty."
    )
    opsgenie_api_url: Url = setting("https://api.opsgenie.com/", "The same of receivers that leave it empty.")
    opsgenie_api_key: Secret | None = setting(None, "The same of receivers that leave it empty.")
    opsgenie_api_key_file: Text = setting("", "The same of receivers that leave it empty.")
    wechat_api_url: Url = setting("https://qyapi.weixin.qq.com/cgi-bin/", "The same of receivers that leave it empty.")
    wechat_api_secret: Secret | None = setting(None, "The same of receivers that leave it empty.")
    wechat_api_secret_file: Text = setting("", "The same of receivers that leave it empty.")
    wechat_api_corp_id: Text = setting("", "The same of receivers that leave it empty.")
    victorops_api_url: Url = setting(
        "https://alert.victorops.com/integrations/generic/20131114/alert/", "The same of receivers that leave it empty."
    )
    victorops_api_key: Secret | None = setting(None, "The same of receivers that leave it empty.")
    victorops_api_key_file: Text = setting("", "The same of receivers that leave it empty.")
    telegram_api_url: Url = setting("https://api.telegram.org", "The same of receivers that leave it empty.")
    telegram_bot_token: Secret | None = setting(None, "The same of receivers that leave it empty.")
    telegram_bot_token_file: Text = setting("", "The same of receivers that leave it empty.")
    webex_api_url: Url = setting("https://webexapis.com/v1/messages", "The same of receivers that leave it empty.")
    rocketchat_api_url: Url = setting("https://open.rocket.chat/", "The same of receivers that leave it empty.")
    rocketchat_token: Secret | None = setting(None, "The same of receivers that leave it empty.")
    rocketchat_token_file: Text = setting("", "The same of receivers that leave it empty.")
    rocketchat_token_id: Secret | None = setting(None, "The same of receivers that leave it empty.")
    rocketchat_token_id_file: Text = setting("", "The same of receivers that leave it empty.")
    mattermost_webhook_url: SecretUrl | None = setting(None, "The same of receivers that leave it empty.")
    mattermost_webhook_url_file: Text = setting("", "The same of receivers that leave it empty.")

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
        if (self.slack_app_token or self.slack_app_token_file) and (self.slack_api_url or self.slack_api_url_file):
            both = "slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file"
            raise ValueError(f"at most one of {both} must be configured")
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


def _receiver_name(name: object) -> object:
    if name in (None, ""):
        raise ValueError("missing name in receiver")
    return name


class Receiver(Settings):
    """Who is notified, and by which ways."""

    name: Annotated[str, BeforeValidator(_receiver_name)] = setting("", "Its name.", validate_default=True)
    labels: dict[str, str] | None = setting(None, "Labels of the receiver, shown by the API.")
    discord_configs: Several[DiscordConfig] = setting((), "Discord.")
    email_configs: Several[EmailConfig] = setting((), "E-mail.")
    incidentio_configs: Several[IncidentioConfig] = setting((), "incident.io.")
    pagerduty_configs: Several[PagerdutyConfig] = setting((), "PagerDuty.")
    slack_configs: Several[SlackConfig] = setting((), "Slack.")
    webhook_configs: Several[WebhookConfig] = setting((), "Webhooks.")
    opsgenie_configs: Several[OpsgenieConfig] = setting((), "Opsgenie.")
    wechat_configs: Several[WechatConfig] = setting((), "WeChat Work.")
    pushover_configs: Several[PushoverConfig] = setting((), "Pushover.")
    victorops_configs: Several[VictoropsConfig] = setting((), "VictorOps.")
    sns_configs: Several[SnsConfig] = setting((), "Amazon SNS.")
    telegram_configs: Several[TelegramConfig] = setting((), "Telegram.")
    webex_configs: Several[WebexConfig] = setting((), "Webex.")
    msteams_configs: Several[MsteamsConfig] = setting((), "Microsoft Teams, connectors.")
    msteamsv2_configs: Several[Msteamsv2Config] = setting((), "Microsoft Teams, workflows.")
    jira_configs: Several[JiraConfig] = setting((), "Jira.")
    rocketchat_configs: Several[RocketchatConfig] = setting((), "Rocket.Chat.")
    mattermost_configs: Several[MattermostConfig] = setting((), "Mattermost.")
    inbox_configs: Several[InboxConfig] = setting((), "watchkeeper's own inbox.")

    def integrations(self) -> Iterator[tuple[str, int, ReceiverSettings]]:
        """Give kind, position among those of its kind, and settings of each way."""
        for field in type(self).model_fields:
            if field.endswith("_configs"):
                for at, config in enumerate(getattr(self, field)):
                    yield field.removesuffix("_configs"), at, config


class AlertmanagerConfig(Settings):
    """The whole file."""

    global_: Annotated[GlobalConfig, BeforeValidator(lambda value: {} if value is None else value)] = setting(
        GlobalConfig, "Defaults.", alias="global"
    )
    route: RouteConfig | None = setting(None, "The routing tree.")
    inhibit_rules: Several[InhibitRule] = setting((), "Which alerts mute which others.")
    receivers: Several[Receiver] = setting((), "Who can be notified.")
    templates: Several[str] = setting((), "Template files; * and ? may stand for characters.")
    mute_time_intervals: Several[NamedIntervals] = setting((), "Deprecated: time_intervals.")
    time_intervals: Several[NamedIntervals] = setting((), "Named time intervals.")
    tracing: TracingConfig | None = setting(None, "Noticed: no traces are sent.")
    event_recorder: EventRecorderConfig | None = setting(None, "Noticed: the delivery ledger keeps events.")


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
    config = _inherited(document.read_as(AlertmanagerConfig))
    faults = list(_faults(config, document))
    if faults:
        raise BadConfigs(faults)
    if directory is None:
        return config
    config = _resolved(config, directory)
    try:
        Templates.load(config.templates)
    except BadInput as error:
        raise BadConfigs([document.fault(("templates",), str(error), "templates that can be parsed")]) from None
    return config


def _inherited(config: AlertmanagerConfig) -> AlertmanagerConfig:
    """Fill what receivers leave empty from `global`."""
    shared = config.global_

    def filled(settings: Any) -> Any:
        if not isinstance(settings, ReceiverSettings):
            return settings
        update: dict[str, Any] = {}
        taken = settings.from_global.items()
        own = {one for one, _ in taken if getattr(settings, one) not in (None, "", 0)}
        for field, source in taken:
            other = field.removesuffix("_file") if field.endswith("_file") else f"{field}_file"
            if field not in own and other not in own:
                update[field] = getattr(shared, source)
        if isinstance(settings, SlackConfig):
            update |= _one_way_to_slack(settings)
        if isinstance(settings, HttpReceiverSettings) and settings.http_config is None:
            update["http_config"] = shared.http_config
        return settings.model_copy(update=update)

    receivers = []
    for receiver in config.receivers:
        fields = {name: getattr(receiver, name) for name in type(receiver).model_fields if name.endswith("_configs")}
        receivers.append(receiver.model_copy(update={name: tuple(map(filled, own)) for name, own in fields.items()}))
    return config.model_copy(update={"receivers": tuple(receivers)})


def _one_way_to_slack(settings: SlackConfig) -> dict[str, Any]:
    """A receiver with a webhook of its own does not use the app's token of `global`, nor the other way round."""
    if settings.api_url or settings.api_url_file:
        return {"app_token": None, "app_token_file": ""}
    if settings.app_token or settings.app_token_file:
        return {"api_url": None, "api_url_file": ""}
    return {}


def _faults(config: AlertmanagerConfig, document: Document) -> Iterator[BadConfig]:
    names: set[str] = set()
    for at, receiver in enumerate(config.receivers):
        if receiver.name in names:
            want = f"each name once (notification config name {receiver.name!r} is not unique)"
            yield document.fault(("receivers", at, "name"), repr(receiver.name), want)
        names.add(receiver.name)
        for kind, place, settings in receiver.integrations():
            missing = settings.missing()
            if missing is not None:
                yield document.fault(("receivers", at, f"{kind}_configs", place), "nothing", missing)
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
