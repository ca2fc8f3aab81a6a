"""Sends to phones by Pushover.

source  github.com/prometheus/alertmanager, notify/pushover; Pushover, Message API
"""

from urllib.parse import urlencode

from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, cut, filled, secret
from watchkeeper.notify.post import send as request
from watchkeeper.notify.receiver_settings import PushoverConfig

_URL = "https://api.pushover.net/1/messages.json"
_TITLE_MAX, _MESSAGE_MAX, _LINK_MAX = 250, 1024, 512
_EMPTY = "(no details)"


async def send(notification: Notification, config: PushoverConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    texts = means.texts(notification)
    message = texts.html(config.message) if config.html else texts.text(config.message)
    parameters = {
        "token": texts.text(await secret(config, "token")),
        "user": texts.text(await secret(config, "user_key")),
        "title": cut(texts.text(config.title), _TITLE_MAX),
        "message": cut(message.strip(), _MESSAGE_MAX) or _EMPTY,
        "url": cut(texts.text(config.url), _LINK_MAX),
        "url_title": texts.text(config.url_title),
        "priority": texts.text(config.priority),
        "retry": str(config.retry // 1000),
        "expire": str(config.expire // 1000),
        "device": texts.text(config.device),
        "sound": texts.text(config.sound),
        "html": "1" if config.html else "",
        "monospace": "1" if config.monospace else "",
        "ttl": str(config.ttl // 1000) if config.ttl else "",
    }
    always = ("token", "user", "title", "message", "url", "url_title", "priority", "retry", "expire", "device", "sound")
    query = urlencode(sorted(filled(parameters, keep=always).items()))
    check(await request(notification, config, means, f"{_URL}?{query}", b"", {"Content-Type": "text/plain"}))
