"""Sends by WeChat Work: a token first, then the message.

source  github.com/prometheus/alertmanager, notify/wechat; WeChat Work, message/send
"""

from typing import Any
from urllib.parse import urlencode

import orjson

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import Reply
from watchkeeper.notify.chat_settings import WechatConfig
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, joined, post_json, secret
from watchkeeper.notify.post import send as request

_NO_CREDENTIAL = 40014


async def send(notification: Notification, config: WechatConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx, network errors and a refused token may pass
    """
    texts = means.texts(notification)
    query = urlencode(
        {"corpid": texts.text(config.corp_id), "corpsecret": texts.text(await secret(config, "api_secret"))}
    )
    url = f"{joined(config.api_url, 'gettoken')}?{query}"
    reply = await request(notification, config, means, url, b"", {}, "GET")
    check(reply)
    token = _said(reply).get("access_token", "")
    if not token:
        raise NotDelivered(f"invalid APISecret for CorpID: {config.corp_id}", permanent=True)
    content = texts.text(config.message)
    message: dict[str, Any] = {
        "text": {"content": content if config.message_type == "text" else ""},
        "touser": texts.text(config.to_user),
        "toparty": texts.text(config.to_party),
        "totag": texts.text(config.to_tag),
        "agentid": texts.text(config.agent_id),
        "safe": "0",
        "msgtype": config.message_type,
        "markdown": {"content": content if config.message_type == "markdown" else ""},
    }
    message = {name: value for name, value in message.items() if value != ""}
    url = f"{joined(config.api_url, 'message/send')}?{urlencode({'access_token': token})}"
    reply = await post_json(notification, config, means, url, message)
    check(reply)
    said = _said(reply)
    if said.get("errcode", 0) != 0:
        raise NotDelivered(str(said.get("errmsg", "")), permanent=said["errcode"] != _NO_CREDENTIAL)


def _said(reply: Reply) -> dict[str, Any]:
    try:
        said = orjson.loads(reply.body)
    except ValueError:
        raise NotDelivered("cannot read the answer: got no JSON", permanent=True) from None
    return said if isinstance(said, dict) else {}
