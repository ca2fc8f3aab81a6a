"""Makes, renews and closes alerts of Opsgenie.

source  github.com/prometheus/alertmanager, notify/opsgenie; Opsgenie, Alert API
"""

from typing import Any

from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.payload import common
from watchkeeper.notify.post import check, cut, filled, joined, post_json, secret
from watchkeeper.notify.receiver_settings import OpsgenieConfig, OpsgenieResponder

_MESSAGE_MAX = 130


async def send(notification: Notification, config: OpsgenieConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    headers = {"Authorization": f"GenieKey {await secret(config, 'api_key')}"}
    for method, path, message in _requests(notification, texts, config):
        url = joined(config.api_url, path)
        check(await post_json(notification, config, means, url, message, headers, method), (429,))


def _requests(
    notification: Notification, texts: Texts, config: OpsgenieConfig
) -> list[tuple[str, str, dict[str, Any]]]:
    alias, by_alias = notification.key, "?identifierType=alias"
    source = texts.text(config.source)
    if not notification.is_firing:
        return [("POST", f"v2/alerts/{alias}/close{by_alias}", {"source": source})]
    message, description = cut(texts.text(config.message), _MESSAGE_MAX), texts.text(config.description)
    details = {
        **common(alert.labels for alert in notification.alerts),
        **{name: texts.text(value) for name, value in config.details.items()},
    }
    create = {
        "alias": alias,
        "message": message,
        "description": description,
        "details": dict(sorted(details.items())),
        "source": source,
        "responders": [one for responder in config.responders for one in _responders(texts, responder)],
        "tags": _split(texts.text(config.tags)),
        "note": texts.text(config.note),
        "entity": texts.text(config.entity),
        "actions": _split(texts.text(config.actions)),
        "priority": texts.text(config.priority),
    }
    requests = [("POST", "v2/alerts", filled(create, keep=("alias", "message", "details", "source")))]
    if config.update_alerts:
        requests.append(("PUT", f"v2/alerts/{alias}/message{by_alias}", filled({"message": message})))
        requests.append(("PUT", f"v2/alerts/{alias}/description{by_alias}", filled({"description": description})))
    return requests


def _responders(texts: Texts, responder: OpsgenieResponder) -> list[dict[str, str]]:
    told = {name: texts.text(getattr(responder, name)) for name in ("id", "name", "username", "type")}
    if not (told["id"] or told["name"] or told["username"]):
        return []
    if told["type"] == "teams":
        return [{"name": name, "type": "team"} for name in _split(told["name"])]
    return [filled(told)]


def _split(text: str) -> list[str]:
    return [part for part in text.split(",") if part.strip()]
