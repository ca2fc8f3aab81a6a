"""Posts an attachment to an incoming webhook of Mattermost.

source  github.com/prometheus/alertmanager, notify/mattermost; Mattermost, Incoming webhooks
"""

from typing import Any

from watchkeeper.notify.chat_settings import MattermostAttachment, MattermostConfig
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, filled, post_json, secret

_TEXTS = (
    *("fallback", "color", "pretext", "text", "author_name", "author_link", "author_icon", "title", "title_link"),
    *("thumb_url", "footer", "footer_icon", "image_url"),
)


async def send(notification: Notification, config: MattermostConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    texts = means.texts(notification)
    message: dict[str, Any] = {
        "text": texts.text(config.text) if config.attachments else "",
        "channel": texts.text(config.channel),
        "username": texts.text(config.username),
        "icon_url": texts.text(config.icon_url),
        "icon_emoji": texts.text(config.icon_emoji),
        "attachments": [_attachment(texts, one) for one in config.attachments or (config,)],
        "type": texts.text(config.type),
    }
    if config.props is not None:
        message["props"] = {"card": texts.text(config.props.card)}
    if config.priority is not None:
        message["priority"] = filled(
            {
                "priority": texts.text(config.priority.priority),
                "requested_ack": config.priority.requested_ack,
                "persistent_notifications": config.priority.persistent_notifications,
            }
        )
    check(await post_json(notification, config, means, await secret(config, "webhook_url"), filled(message)))


def _attachment(texts: Texts, config: MattermostAttachment | MattermostConfig) -> dict[str, Any]:
    attachment: dict[str, Any] = {name: texts.text(getattr(config, name)) for name in _TEXTS}
    attachment["fields"] = [
        filled({"title": texts.text(one.title), "value": texts.text(one.value), "short": one.short}, keep=("title",))
        for one in config.fields
    ]
    return filled(attachment)
