"""The receivers of alertmanager.yml, field by field and default by default as Alertmanager 0.33 has them.

`from_global` of each says which of its fields are taken from `global` where it leaves them empty.

source  Alertmanager docs, Configuration, Receiver integration settings; defaults compared with its `config.original`
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Secret, Several, Text, TextMap
from watchkeeper.net.http_config import HttpConfig, TlsConfig
from watchkeeper.notify.aws import SigV4
from watchkeeper.notify.field_types import Duration, HostPort, SecretTemplateUrl, Url


def default(name: str) -> str:
    """Give the text that shows one of the default templates."""
    return f'{{{{ template "{name}" . }}}}'


class ReceiverSettings(Settings):
    """What every receiver has."""

    from_global: ClassVar[Mapping[str, str]] = {}
    wanted: ClassVar[tuple[tuple[tuple[str, ...], str], ...]] = ()  # one of these fields, or this fault
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = ()  # never both
    send_resolved: bool = setting(True, "Whether to tell when alerts are over.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        for one, other in self.exclusive:
            if getattr(self, one) and getattr(self, other):
                raise ValueError(f"at most one of {one} & {other} must be configured")
        return self

    def missing(self) -> str | None:
        """Say what is missing, after `global` was looked at."""
        for fields, fault in self.wanted:
            if not any(getattr(self, field) for field in fields):
                return fault
        return None


class HttpReceiverSettings(ReceiverSettings):
    """What every receiver has that is reached by HTTP."""

    http_config: HttpConfig | None = setting(None, "HTTP settings.")


class WebhookConfig(HttpReceiverSettings):
    """POSTs Alertmanager's JSON to a URL."""

    exclusive = (("url", "url_file"),)
    wanted = ((("url", "url_file"), "one of url or url_file must be configured"),)
    url: SecretTemplateUrl | None = setting(None, "Where to; a template.")
    url_file: Text = setting("", "A file that holds where to.")
    max_alerts: int = setting(0, "At most so many alerts in a message; 0 is all.", ge=0)
    timeout: Duration = setting(0, "For the whole request; 0 is as long as the group has.")
    payload: Any = setting(
        None, "What to send instead: any tree; every text in it is a template, its result read as YAML."
    )


class InboxConfig(ReceiverSettings):
    """Keeps notifications in watchkeeper's own inbox, which its UI shows."""


class Threading(Settings):
    """How e-mails of a group hang together."""

    enabled: bool = setting(False, "Whether they do.")
    thread_by_date: Text = setting("", "daily or none: a thread for each day, or one for ever.")

    @model_validator(mode="after")
    def _known_way(self) -> Self:
        if self.enabled and self.thread_by_date not in ("none", "daily"):
            raise ValueError("threading.thread_by_date must be either 'none' or 'daily'")
        return self


class EmailConfig(ReceiverSettings):
    """Sends an e-mail."""

    from_global: ClassVar[Mapping[str, str]] = {
        "from_": "smtp_from",
        "hello": "smtp_hello",
        "smarthost": "smtp_smarthost",
        "auth_username": "smtp_auth_username",
        "auth_password": "smtp_auth_password",
        "auth_password_file": "smtp_auth_password_file",
        "auth_secret": "smtp_auth_secret",
        "auth_secret_file": "smtp_auth_secret_file",
        "auth_identity": "smtp_auth_identity",
        "require_tls": "smtp_require_tls",
        "tls_config": "smtp_tls_config",
        "force_implicit_tls": "smtp_force_implicit_tls",
    }
    wanted = (
        (("to",), "missing to address in email config"),
        (("smarthost",), "no global SMTP smarthost set"),
        (("from_",), "no global SMTP from set"),
    )
    send_resolved: bool = setting(False, "Whether to tell when alerts are over.")
    to: Text = setting("", "Addresses, with commas between.")
    from_: Text = setting("", "The sender's address.", alias="from")
    hello: Text = setting("", "The name given to the server.")
    smarthost: HostPort = setting("", "The server, host:port.")
    auth_username: Text = setting("", "User name for CRAM-MD5, LOGIN and PLAIN.")
    auth_password: Secret | None = setting(None, "Password for LOGIN and PLAIN.")
    auth_password_file: Text = setting("", "A file that holds the password.")
    auth_secret: Secret | None = setting(None, "Secret for CRAM-MD5.")
    auth_secret_file: Text = setting("", "A file that holds the secret.")
    auth_identity: Text = setting("", "Identity for PLAIN.")
    headers: TextMap = setting(dict, "Further headers; From, To and Subject unless they are here.")
    html: Text = setting(default("email.default.html"), "The message as HTML.")
    text: Text = setting("", "The message as plain text.")
    require_tls: bool | None = setting(None, "Whether a server without STARTTLS is refused.")
    force_implicit_tls: bool | None = setting(
        None, "Whether the connection is TLS from the start; with port 465 it is."
    )
    tls_config: TlsConfig | None = setting(None, "TLS.")
    threading: Threading | None = setting(None, "How e-mails of a group hang together.")

    @model_validator(mode="after")
    def _each_header_once(self) -> Self:
        seen: set[str] = set()
        for name in map(_header_name, self.headers):
            if name in seen:
                raise ValueError(f'duplicate header "{name}" in email config')
            seen.add(name)
        return self


def _header_name(name: str) -> str:
    """Write a header's name as Go does: each word begins large."""
    return "-".join(word.capitalize() for word in name.split("-"))


class PagerdutyImage(Settings):
    """A picture."""

    src: Text = setting("", "Where it is.")
    alt: Text = setting("", "Text in its place.")
    href: Text = setting("", "Where it leads.")


class PagerdutyLink(Settings):
    """A link."""

    href: Text = setting("", "Where it leads.")
    text: Text = setting("", "Its text.")


_DETAILS = {
    "firing": "{{ .Alerts.Firing | toJson }}",
    "num_firing": "{{ .Alerts.Firing | len }}",
    "num_resolved": "{{ .Alerts.Resolved | len }}",
    "resolved": "{{ .Alerts.Resolved | toJson }}",
}


def _with_defaults(value: Any) -> Any:
    return {**_DETAILS, **value} if isinstance(value, dict) else value or _DETAILS


Details = Annotated[dict[str, Any], BeforeValidator(_with_defaults)]


class PagerdutyConfig(HttpReceiverSettings):
    """Sends events to PagerDuty: Events API v2 with a routing key, v1 with a service key."""

    from_global: ClassVar[Mapping[str, str]] = {"url": "pagerduty_url"}
    wanted = (
        (
            ("routing_key", "routing_key_file", "service_key", "service_key_file"),
            "missing service or routing key in PagerDuty config",
        ),
    )
    exclusive = (("routing_key", "routing_key_file"), ("service_key", "service_key_file"))
    service_key: Secret | None = setting(None, "Integration key of API v1.")
    service_key_file: Text = setting("", "A file that holds it.")
    routing_key: Secret | None = setting(None, "Integration key of API v2.")
    routing_key_file: Text = setting("", "A file that holds it.")
    url: Url = setting("", "Where events are sent.")
    client: Text = setting(default("pagerduty.default.client"), "Who reports.")
    client_url: Text = setting(default("pagerduty.default.clientURL"), "Where that is.")
    description: Text = setting('{{ template "pagerduty.default.description" .}}', "What happened.")
    details: Details = setting(lambda: dict(_DETAILS), "More about it; values may be nested.")
    images: Several[PagerdutyImage] = setting((), "Pictures.")
    links: Several[PagerdutyLink] = setting((), "Links.")
    source: Text = setting("", "What is affected; the client by default.")
    severity: Text = setting("", "critical, error, warning or info; error by default.")
    class_: Text = setting("", "Class of the event.", alias="class")
    component: Text = setting("", "Part that is affected.")
    group: Text = setting("", "Group of parts.")
    timeout: Duration = setting(0, "For the whole request; 0 is as long as the group has.")

    @model_validator(mode="after")
    def _source_is_client(self) -> Self:
        if not self.source:
            self.__dict__["source"] = self.client  # settings cannot be set otherwise
        return self


class OpsgenieResponder(Settings):
    """Who is to respond."""

    id: Text = setting("", "By id.")
    name: Text = setting("", "By name.")
    username: Text = setting("", "By user name.")
    type: Text = setting("", "team, teams, user, escalation or schedule.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        shown = f"opsGenieConfig responder {{{self.id} {self.name} {self.username} {self.type}}}"
        if not (self.id or self.name or self.username):
            raise ValueError(f"{shown} has to have at least one of id, username or name specified")
        if "{{" not in self.type and self.type.lower() not in ("team", "teams", "user", "escalation", "schedule"):
            raise ValueError(f"{shown} type does not match valid options ^(team|teams|user|escalation|schedule)$")
        return self


class OpsgenieConfig(HttpReceiverSettings):
    """Makes and closes alerts of Opsgenie."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_key": "opsgenie_api_key",
        "api_key_file": "opsgenie_api_key_file",
        "api_url": "opsgenie_api_url",
    }
    wanted = ((("api_key", "api_key_file"), "no global OpsGenie API Key set either inline or in a file"),)
    exclusive = (("api_key", "api_key_file"),)
    api_key: Secret | None = setting(None, "API key.")
    api_key_file: Text = setting("", "A file that holds it.")
    api_url: Url = setting("", "Where the API is.")
    message: Text = setting(default("opsgenie.default.message"), "What it is called, at most 130 characters.")
    description: Text = setting(default("opsgenie.default.description"), "What happened.")
    source: Text = setting(default("opsgenie.default.source"), "Where it comes from.")
    details: TextMap = setting(dict, "More about it, beside the common labels.")
    entity: Text = setting("", "What is affected.")
    responders: Several[OpsgenieResponder] = setting((), "Who is to respond.")
    actions: Text = setting("", "Actions, with commas between.")
    update_alerts: bool = setting(False, "Whether message and description of an alert that is there are renewed.")
    tags: Text = setting("", "Tags, with commas between.")
    note: Text = setting("", "A note.")
    priority: Text = setting("", "P1 to P5.")


_VICTOROPS_FIELDS = frozenset({
    "routing_key", "message_type", "state_message", "entity_display_name", "monitoring_tool", "entity_id",
    "entity_state",
})  # fmt: skip


class VictoropsConfig(HttpReceiverSettings):
    """Sends incidents to VictorOps (Splunk On-Call)."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_key": "victorops_api_key",
        "api_key_file": "victorops_api_key_file",
        "api_url": "victorops_api_url",
    }
    wanted = (
        (("routing_key",), "missing Routing key in VictorOps config"),
        (("api_key", "api_key_file"), "no global VictorOps API Key set"),
    )
    exclusive = (("api_key", "api_key_file"),)
    api_key: Secret | None = setting(None, "API key.")
    api_key_file: Text = setting("", "A file that holds it.")
    api_url: Url = setting("", "Where the API is.")
    routing_key: Text = setting("", "Which team.")
    message_type: Text = setting("CRITICAL", "CRITICAL, WARNING or INFO.")
    state_message: Text = setting(default("victorops.default.state_message"), "What happened.")
    entity_display_name: Text = setting(default("victorops.default.entity_display_name"), "What it is called.")
    monitoring_tool: Text = setting(default("victorops.default.monitoring_tool"), "Who reports.")
    custom_fields: TextMap = setting(dict, "Further fields.")

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        for name in self.custom_fields:
            if name in _VICTOROPS_FIELDS:
                told = "cannot be used as it conflicts with the fixed/static fields"
                raise ValueError(f"victorOps config contains custom field {name} which {told}")
        return self


class PushoverConfig(HttpReceiverSettings):
    """Sends to phones by Pushover."""

    wanted = (
        (("user_key", "user_key_file"), "one of user_key or user_key_file must be configured"),
        (("token", "token_file"), "one of token or token_file must be configured"),
    )
    exclusive = (("user_key", "user_key_file"), ("token", "token_file"), ("html", "monospace"))
    user_key: Secret | None = setting(None, "The user's key.")
    user_key_file: Text = setting("", "A file that holds it.")
    token: Secret | None = setting(None, "The application's token.")
    token_file: Text = setting("", "A file that holds it.")
    title: Text = setting(default("pushover.default.title"), "Title.")
    message: Text = setting(default("pushover.default.message"), "Text.")
    url: Text = setting(default("pushover.default.url"), "A link.")
    url_title: Text = setting("", "Its text.")
    device: Text = setting("", "Which of the user's devices.")
    sound: Text = setting("", "Sound.")
    priority: Text = setting('{{ if eq .Status "firing" }}2{{ else }}0{{ end }}', "-2 to 2.")
    retry: Duration = setting(60_000, "How often an emergency is said again.")
    expire: Duration = setting(3_600_000, "How long an emergency is said again.")
    ttl: Duration = setting(0, "How long the message is kept; 0: for ever.")
    html: bool = setting(False, "Whether the text is HTML.")
    monospace: bool = setting(False, "Whether letters are of one width.")


class SnsConfig(HttpReceiverSettings):
    """Publishes to Amazon SNS."""

    exclusive = (("topic_arn", "target_arn"), ("topic_arn", "phone_number"), ("target_arn", "phone_number"))
    wanted = (
        (
            ("topic_arn", "target_arn", "phone_number"),
            "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config",
        ),
    )
    api_url: Text = setting("", "Where the API is; by the region by default.")
    sigv4: SigV4 = setting(SigV4, "How requests are signed.")
    topic_arn: Text = setting("", "A topic.")
    phone_number: Text = setting("", "A phone.")
    target_arn: Text = setting("", "An endpoint.")
    subject: Text = setting(default("sns.default.subject"), "Subject.")
    message: Text = setting(default("sns.default.message"), "Text.")
    attributes: TextMap = setting(dict, "Attributes.")
