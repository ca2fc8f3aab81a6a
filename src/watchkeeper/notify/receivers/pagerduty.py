"""Sends an event to PagerDuty: Events API v2 with a routing key, v1 with a service key.

source  github.com/prometheus/alertmanager, notify/pagerduty; PagerDuty, Events API v2
"""

from typing import Any

from watchkeeper.notify.gotext import json_bytes
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, filled, post_json, secret
from watchkeeper.notify.receiver_settings import PagerdutyConfig

_URL_V1 = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
_EVENT_BYTES_MAX = 512_000
_TEXT_MAX = 1024
_TOO_LARGE = "Custom details have been removed because the original event exceeds the maximum size of 512KB"


async def send(notification: Notification, config: PagerdutyConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass, 429 of v2 and 403 of v1
    """
    texts = means.texts(notification)
    event = "trigger" if notification.is_firing else "resolve"
    details = texts.deep(config.details)
    if config.service_key is not None or config.service_key_file:
        message = _message_v1(notification, texts, config, event, details)
        message = {"service_key": await secret(config, "service_key"), **message}
        check(await post_json(notification, config, means, _URL_V1, message), (403,))
        return
    key = await secret(config, "routing_key")
    message = {"routing_key": key, **_message_v2(notification, texts, config, event, details)}
    if len(json_bytes(message)) > _EVENT_BYTES_MAX:
        message["payload"]["custom_details"] = {"error": _TOO_LARGE}
    check(await post_json(notification, config, means, texts.text(config.url), message), (429,))


def _message_v1(
    notification: Notification, texts: Texts, config: PagerdutyConfig, event: str, details: dict[str, Any]
) -> dict[str, Any]:
    message = {
        "incident_key": notification.key,
        "event_type": event,
        "description": cut(texts.text(config.description), _TEXT_MAX),
        "event_action": "",
        "payload": None,
        "client": texts.text(config.client) if event == "trigger" else "",
        "client_url": texts.text(config.client_url) if event == "trigger" else "",
        "details": details,
    }
    return filled(message, keep=("event_action", "payload"))


def _message_v2(
    notification: Notification, texts: Texts, config: PagerdutyConfig, event: str, details: dict[str, Any]
) -> dict[str, Any]:
    payload = {
        "summary": cut(texts.text(config.description), _TEXT_MAX),
        "source": texts.text(config.source or config.client),
        "severity": texts.text(config.severity or "error"),
        "class": texts.text(config.class_),
        "component": texts.text(config.component),
        "group": texts.text(config.group),
        "custom_details": details,
    }
    images = [
        {"src": texts.text(one.src), "alt": texts.text(one.alt), "href": texts.text(one.href)} for one in config.images
    ]
    links = [{"href": texts.text(one.href), "text": texts.text(one.text)} for one in config.links]
    message = {
        "dedup_key": notification.key,
        "event_action": event,
        "payload": filled(payload, keep=("summary", "source", "severity")),
        "client": texts.text(config.client),
        "client_url": texts.text(config.client_url),
        "images": [one for one in images if one["src"]],
        "links": [one for one in links if one["href"]],
    }
    return filled(message, keep=("event_action", "payload"))
