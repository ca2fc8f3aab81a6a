"""POSTs a notification as JSON to a URL.

source  github.com/prometheus/alertmanager, notify/webhook
"""

from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.payload import webhook_payload
from watchkeeper.notify.post import check, post_json, secret
from watchkeeper.notify.receiver_settings import WebhookConfig


async def send(notification: Notification, config: WebhookConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass, any other answer than 2xx will not
    """
    url = await secret(config, "url")
    check(await post_json(notification, config, means, url, webhook_payload(notification, config.max_alerts)))
