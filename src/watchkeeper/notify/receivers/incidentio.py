"""Sends alerts to incident.io.

source  github.com/prometheus/alertmanager, notify/incidentio
"""

from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.payload import webhook_payload
from watchkeeper.notify.post import check, post_json, secret
from watchkeeper.notify.ticket_settings import IncidentioConfig


async def send(notification: Notification, config: IncidentioConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    message = webhook_payload(notification, config.max_alerts) | {"version": "1"}
    token = await secret(config, "alert_source_token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = await secret(config, "url")
    check(await post_json(notification, config, means, url, message, headers), (429,))
