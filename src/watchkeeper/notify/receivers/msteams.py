"""Posts a card to a connector of Microsoft Teams.

source  github.com/prometheus/alertmanager, notify/msteams; Microsoft, Legacy actionable message card reference
"""

from watchkeeper.notify.chat_settings import MsteamsConfig
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, post_json, secret

_RED, _GREEN = "8C1A1A", "2DC72D"


async def send(notification: Notification, config: MsteamsConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    message = {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": texts.text(config.title),
        "summary": texts.text(config.summary),
        "text": texts.text(config.text),
        "themeColor": _RED if notification.is_firing else _GREEN,
    }
    check(await post_json(notification, config, means, await secret(config, "webhook_url"), message))
