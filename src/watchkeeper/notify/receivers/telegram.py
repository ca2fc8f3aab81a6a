"""Sends by a bot of Telegram.

source  github.com/prometheus/alertmanager, notify/telegram; Telegram, Bot API, sendMessage
"""

from watchkeeper.notify.chat_settings import TelegramConfig
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, cut, joined, post_json, secret

_MESSAGE_MAX = 4096


async def send(notification: Notification, config: TelegramConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    text = texts.html(config.message) if config.parse_mode == "HTML" else texts.text(config.message)
    message = {
        "chat_id": str(config.chat_id or await secret(config, "chat_id")),
        "disable_web_page_preview": "true",
        "text": cut(text, _MESSAGE_MAX),
    }
    if config.disable_notifications:
        message["disable_notification"] = "true"
    if config.message_thread_id:
        message["message_thread_id"] = str(config.message_thread_id)
    if config.parse_mode:
        message["parse_mode"] = config.parse_mode
    url = joined(config.api_url, f"bot{await secret(config, 'bot_token')}/sendMessage")
    check(await post_json(notification, config, means, url, dict(sorted(message.items()))), (429,))
