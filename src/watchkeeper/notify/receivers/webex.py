"""Posts to a room of Webex.

source  github.com/prometheus/alertmanager, notify/webex; Webex, Create a Message
"""

from watchkeeper.notify.chat_settings import WebexConfig
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, cut_bytes, post_json

_MESSAGE_BYTES_MAX = 7439


async def send(notification: Notification, config: WebexConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    message = {
        "markdown": cut_bytes(texts.text(config.message), _MESSAGE_BYTES_MAX),
        "roomId": texts.text(config.room_id),
    }
    check(await post_json(notification, config, means, config.api_url, message))
