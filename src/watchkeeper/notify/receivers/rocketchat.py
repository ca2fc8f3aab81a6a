"""Posts an attachment to Rocket.Chat.

source  github.com/prometheus/alertmanager, notify/rocketchat; Rocket.Chat, Post Message
"""

from typing import Any

import orjson

from watchkeeper.model.errors import NotDelivered
from watchkeeper.notify.chat_settings import RocketchatConfig
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, filled, joined, post_json, secret

_TITLE_MAX = 1024


async def send(notification: Notification, config: RocketchatConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    message = filled(
        {
            "channel": texts.text(config.channel),
            "emoji": texts.text(config.emoji),
            "avatar": texts.text(config.icon_url),
            "attachments": [_attachment(texts, config)],
        }
    )
    headers = {"X-Auth-Token": await secret(config, "token"), "X-User-Id": await secret(config, "token_id")}
    url = joined(config.api_url, "api/v1/chat.postMessage")
    reply = await post_json(notification, config, means, url, message, headers)
    check(reply, (429,))
    try:
        said = orjson.loads(reply.body or b"{}")
    except ValueError:
        return
    if isinstance(said, dict) and said.get("success") is False:
        raise NotDelivered(f"error response from Rocket.Chat: {said.get('error', '')}", permanent=True)


def _attachment(texts: Texts, config: RocketchatConfig) -> dict[str, Any]:
    fields = [
        {
            "title": texts.text(field.title),
            "value": texts.text(field.value),
            "short": config.short_fields if field.short is None else field.short,
        }
        for field in config.fields
    ]
    actions = [
        filled({name: texts.text(getattr(action, name)) for name in ("type", "text", "url", "msg")})
        | {"is_webview": action.is_webview, "msg_in_chat_window": action.msg_in_chat_window}
        for action in config.actions
    ]
    return filled(
        {
            "title": cut(texts.text(config.title), _TITLE_MAX),
            "title_link": texts.text(config.title_link),
            "text": texts.text(config.text),
            "image_url": texts.text(config.image_url),
            "thumb_url": texts.text(config.thumb_url),
            "color": texts.text(config.color),
            "fields": fields,
            "actions": actions,
        }
    )
