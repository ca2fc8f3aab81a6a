"""Posts an attachment to Slack, by an incoming webhook or an app's token.

source  github.com/prometheus/alertmanager, notify/slack; Slack, Reference: Secondary message attachments
"""

from typing import Any

import orjson

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import Reply
from watchkeeper.notify.chat_settings import SlackAction, SlackConfig, SlackField
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, filled, post_json, secret

_TITLE_MAX = 1024


async def send(notification: Notification, config: SlackConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    texts = means.texts(notification)
    known = notification.kept if config.update_message else {}
    message = filled(
        {
            "channel": known.get("channel") or texts.text(config.channel),
            "ts": known.get("ts", ""),
            "username": texts.text(config.username),
            "icon_emoji": texts.text(config.icon_emoji),
            "icon_url": texts.text(config.icon_url),
            "link_names": config.link_names,
            "text": texts.text(config.message_text),
            "attachments": [_attachment(texts, config)],
        }
    )
    if config.app_token or config.app_token_file:
        token = await secret(config, "app_token")
        headers = {"Authorization": f"Bearer {token}"}
        reply = await post_json(notification, config, means, config.app_url, message, headers)
    else:
        url = await secret(config, "api_url")
        if known.get("ts"):
            url = url.replace("chat.postMessage", "chat.update")
        reply = await post_json(notification, config, means, url, message)
    check(reply, (429,))
    said = _checked_answer(reply)
    if config.update_message and said.get("ts"):
        notification.kept.update({"channel": str(said.get("channel", "")), "ts": str(said["ts"])})


def _checked_answer(reply: Reply) -> dict[str, Any]:
    """Give Slack's answer, {} where it is no JSON; in a 200 it may say that it refused."""
    if reply.headers.get("content-type", "").startswith("application/json"):
        try:
            said = orjson.loads(reply.body)
        except ValueError:
            return {}
        if isinstance(said, dict) and said.get("ok") is False:
            raise NotDelivered(f"error response from Slack: {said.get('error', '')}", permanent=True)
        return said if isinstance(said, dict) else {}
    if reply.body != b"ok":
        text = reply.body[:200].decode(errors="replace")
        raise NotDelivered(f"received an error response from Slack: {text}", permanent=True)
    return {}


def _attachment(texts: Texts, config: SlackConfig) -> dict[str, Any]:
    return filled(
        {
            "title": cut(texts.text(config.title), _TITLE_MAX),
            "title_link": texts.text(config.title_link),
            "pretext": texts.text(config.pretext),
            "text": texts.text(config.text),
            "fallback": texts.text(config.fallback),
            "callback_id": texts.text(config.callback_id),
            "fields": [_field(texts, field, short=config.short_fields) for field in config.fields],
            "actions": [_action(texts, action) for action in config.actions],
            "image_url": texts.text(config.image_url),
            "thumb_url": texts.text(config.thumb_url),
            "footer": texts.text(config.footer),
            "color": texts.text(config.color),
            "mrkdwn_in": list(config.mrkdwn_in) or ["fallback", "pretext", "text"],
        },
        keep=("text", "fallback", "callback_id", "footer"),
    )


def _field(texts: Texts, field: SlackField, *, short: bool) -> dict[str, Any]:
    return {
        "title": texts.text(field.title),
        "value": texts.text(field.value),
        "short": short if field.short is None else field.short,
    }


def _action(texts: Texts, action: SlackAction) -> dict[str, Any]:
    names = ("type", "text", "url", "style") if action.url else ("type", "text", "style", "name", "value")
    out = filled({name: texts.text(getattr(action, name)) for name in names}, keep=("type", "text"))
    if action.confirm is not None and not action.url:
        words = {
            name: texts.text(getattr(action.confirm, name)) for name in ("text", "title", "ok_text", "dismiss_text")
        }
        out["confirm"] = filled(words, keep=("text",))
    return out
