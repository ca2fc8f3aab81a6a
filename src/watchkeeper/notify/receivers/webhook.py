"""POSTs a notification as JSON to a URL.

source  github.com/prometheus/alertmanager, notify/webhook
"""

import asyncio

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import RequestOptions
from watchkeeper.notify.gotext import json_bytes
from watchkeeper.notify.http_settings import HttpConfig, read_secret, reads_files, request_options
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.payload import webhook_payload
from watchkeeper.notify.settings import WebhookConfig


async def send(notification: Notification, config: WebhookConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass, any other answer than 2xx will not
    """
    body = json_bytes(webhook_payload(notification, config.max_alerts)) + b"\n"
    timeout_s = min(notification.timeout_s, config.timeout / 1000 or notification.timeout_s)
    if reads_files(config):
        url, options = await asyncio.to_thread(_address, config, timeout_s)
    else:
        url, options = _address(config, timeout_s)
    reply = await means.client.send("POST", url, body, {"Content-Type": "application/json"}, options)
    if reply.status // 100 != 2:
        raise NotDelivered(f"unexpected status code {reply.status}", permanent=reply.status // 100 != 5)


def _address(config: WebhookConfig, timeout_s: float) -> tuple[str, RequestOptions]:
    return read_secret(config.url, config.url_file), request_options(config.http_config or HttpConfig(), timeout_s)
