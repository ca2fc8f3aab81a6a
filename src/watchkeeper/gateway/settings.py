"""Which services an agent may ask about."""

from collections.abc import Mapping

from pydantic import field_validator

from watchkeeper.model.document import Settings, setting


class ServiceSettings(Settings):
    """One service: the targets and alerts that belong to it."""

    jobs: tuple[str, ...] = setting((), "Scrape jobs whose targets are the service; empty: the job of its name.")
    labels: Mapping[str, str] = setting(dict, "Labels that targets and alerts must carry besides.")
    url: str = setting("", "Where the service answers, http or https; shown to agents.")

    @field_validator("url")
    @classmethod
    def _is_plain(cls, url: str) -> str:
        if url and (not url.startswith(("http://", "https://")) or "@" in url or not url.isprintable()):
            raise ValueError("an http or https address without user and password")
        return url


class GatewaySettings(Settings):
    """The gateway for agents."""

    services: Mapping[str, ServiceSettings] = setting(
        dict, "Services by name; without any, every scrape job is a service."
    )
    error_ratio_max: float = setting(0.05, "A service with more failed requests than this is degraded.", ge=0, le=1)
    error_lines_max: int = setting(0, "A service with more error lines in 15 minutes is degraded; 0: never.", ge=0)
    answer_items_max: int = setting(50, "Most targets, alerts and services in one answer.", unit="items", gt=0)
    believed_s: float = setting(2.0, "An overview is worked out anew after this.", unit="s", ge=0)
