"""Posts an embed to a webhook of Discord.

source  github.com/prometheus/alertmanager, notify/discord; Discord, Execute Webhook
"""

from watchkeeper.notify.chat_settings import DiscordConfig
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, cut, post_json, secret

_TITLE_MAX, _MESSAGE_MAX, _CONTENT_MAX = 256, 4096, 2000
_RED, _GREEN = 0x992D22, 0x2ECC71


async def send(notification: Notification, config: DiscordConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    texts = means.texts(notification)
    embed = {
        "title": cut(texts.text(config.title), _TITLE_MAX),
        "description": cut(texts.text(config.message), _MESSAGE_MAX),
        "color": _RED if notification.is_firing else _GREEN,
    }
    message = {"content": cut(texts.text(config.content), _CONTENT_MAX), "embeds": [embed]}
    if config.username:
        message["username"] = texts.text(config.username)
    if config.avatar_url:
        message["avatar_url"] = texts.text(config.avatar_url)
    check(await post_json(notification, config, means, await secret(config, "webhook_url"), message))
