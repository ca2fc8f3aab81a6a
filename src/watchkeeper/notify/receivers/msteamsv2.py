"""Posts an adaptive card to a workflow of Microsoft Teams.

source  github.com/prometheus/alertmanager, notify/msteamsv2; adaptivecards.io, schema 1.2
"""

from watchkeeper.notify.chat_settings import Msteamsv2Config
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, post_json, secret


async def send(notification: Notification, config: Msteamsv2Config, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    title = {
        "type": "TextBlock",
        "text": texts.text(config.title),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
        "style": "heading",
        "color": "Attention" if notification.is_firing else "Good",
    }
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [title, {"type": "TextBlock", "text": texts.text(config.text), "wrap": True}],
        "msteams": {"width": "full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    message = {"type": "message", "attachments": [attachment]}
    check(await post_json(notification, config, means, await secret(config, "webhook_url"), message))
