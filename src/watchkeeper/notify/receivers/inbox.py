"""Keeps notifications in watchkeeper's own inbox, for people to read in the UI."""

from watchkeeper.notify.gotext import json_bytes
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.payload import webhook_payload
from watchkeeper.notify.receiver_settings import InboxConfig


async def send(notification: Notification, config: InboxConfig, means: Means) -> None:
    """Keep one notification; on the disk when it returns.

    raises  NotDelivered when it cannot be kept now
    """
    del config
    message = webhook_payload(notification)
    await means.keep(notification.receiver, message["status"], json_bytes(message).decode())
