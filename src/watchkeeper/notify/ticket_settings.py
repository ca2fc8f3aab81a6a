"""Receivers of alertmanager.yml that keep tickets: Jira and incident.io."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Secret, Several, Text
from watchkeeper.notify.field_types import Duration, MaybeDuration, Url
from watchkeeper.notify.receiver_settings import HttpReceiverSettings, default


def _field(value: Any) -> Any:
    return {"template": value} if isinstance(value, str) else value


class JiraField(Settings):
    """A text of an issue."""

    template: Text = setting("", "The text.")
    enable_update: bool | None = setting(None, "Whether an issue that is there is given it, too.")


class JiraConfig(HttpReceiverSettings):
    """Makes, updates, resolves and reopens issues of Jira."""

    from_global: ClassVar[Mapping[str, str]] = {"api_url": "jira_api_url"}
    wanted = (
        (("project",), "missing project in jira_config"),
        (("issue_type",), "missing issue_type in jira_config"),
        (("api_url",), "no global Jira Cloud URL set"),
    )
    api_url: Url = setting("", "Where the API is, such as https://company.atlassian.net/rest/api/2/.")
    api_type: Text = setting("auto", "auto, cloud or datacenter.")
    project: Text = setting("", "Key of the project.")
    summary: Annotated[JiraField, BeforeValidator(_field)] = setting(
        lambda: JiraField(template=default("jira.default.summary")), "Summary."
    )
    description: Annotated[JiraField, BeforeValidator(_field)] = setting(
        lambda: JiraField(template=default("jira.default.description")), "Description."
    )
    labels: Several[str] = setting((), "Labels.")
    priority: Text = setting(default("jira.default.priority"), "Priority.")
    issue_type: Text = setting("", "Type, such as Bug.")
    reopen_transition: Text = setting("", "Transition that opens an issue again.")
    resolve_transition: Text = setting("", "Transition that resolves an issue.")
    wont_fix_resolution: Text = setting("", "Issues with this resolution are left alone.")
    reopen_duration: MaybeDuration = setting(None, "How long after being resolved an issue is opened again.")
    fields: dict[str, Any] = setting(dict, "Further fields.")

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        if self.api_type not in ("auto", "cloud", "datacenter"):
            raise ValueError("unknown api_type on jira_config, must be cloud or datacenter")
        return self


class IncidentioConfig(HttpReceiverSettings):
    """Sends alerts to incident.io."""

    exclusive = (("url", "url_file"), ("alert_source_token", "alert_source_token_file"))
    wanted = ((("url", "url_file"), "one of url or url_file must be configured"),)
    url: Url = setting("", "The alert source.")
    url_file: Text = setting("", "A file that holds it.")
    alert_source_token: Secret | None = setting(None, "Its token.")
    alert_source_token_file: Text = setting("", "A file that holds it.")
    max_alerts: int = setting(0, "At most so many alerts in a message; 0 is all.", ge=0)
    timeout: Duration = setting(0, "For the whole request; 0 is as long as the group has.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        http = self.http_config
        if http is not None and http.authorization and (self.alert_source_token or self.alert_source_token_file):
            told = "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization"
            raise ValueError(told)
        return self
