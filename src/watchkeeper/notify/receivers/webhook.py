"""POSTs a notification as JSON to a URL.

source  github.com/prometheus/alertmanager, notify/webhook
"""

from dataclasses import replace
from typing import Any

from watchkeeper.model.errors import NotDelivered
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.payload import webhook_payload
from watchkeeper.notify.post import check, post_json, secret
from watchkeeper.notify.receiver_settings import WebhookConfig


async def send(notification: Notification, config: WebhookConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass, any other answer than 2xx will not
    """
    url = await secret(config, "url")
    try:
        url = means.texts(notification).text(url)
    except NotDelivered as failure:
        raise NotDelivered(f"failed to template webhook URL: {failure}", permanent=True) from None
    check(await post_json(notification, config, means, url, _message(notification, config, means)))


def _message(notification: Notification, config: WebhookConfig, means: Means) -> Any:
    if config.payload is None:
        return webhook_payload(notification, config.max_alerts)
    shown = notification.alerts[: config.max_alerts or None]
    try:
        return means.texts(replace(notification, alerts=shown)).deep(config.payload)
    except NotDelivered as failure:
        raise NotDelivered(f"failed to render custom payload: {failure}", permanent=True) from None
