"""What receivers that speak HTTP have in common: the request with the receiver's settings, the verdict, cut texts."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import Reply
from watchkeeper.net.http_config import HttpConfig, current_options, read_secret
from watchkeeper.notify.gotext import json_bytes
from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.receiver_settings import HttpReceiverSettings

_SHOWN_MAX = 1024


async def secret(config: HttpReceiverSettings, field: str) -> str:
    """Give a secret from a field or, fresh each time, from the file that its `_file` names.

    raises  NotDelivered when the file cannot be read
    """
    inline, file = getattr(config, field), getattr(config, f"{field}_file", "")
    if isinstance(inline, str):
        return inline or await asyncio.to_thread(read_secret, None, file)
    return read_secret(inline, "") if inline is not None else await asyncio.to_thread(read_secret, None, file)


async def send(
    notification: Notification,
    config: HttpReceiverSettings,
    means: Means,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    method: str = "POST",
) -> Reply:
    """Make one request with the receiver's HTTP settings; give the answer, whatever its status.

    raises  NotDelivered
    """
    limit_ms = getattr(config, "timeout", 0)
    timeout_s = min(notification.timeout_s, limit_ms / 1000 or notification.timeout_s)
    options = await current_options(config.http_config or HttpConfig(), timeout_s)
    return await means.client.send(method, url, body, headers, options)


async def post_json(
    notification: Notification,
    config: HttpReceiverSettings,
    means: Means,
    url: str,
    message: Any,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Reply:
    """Send a message as Go's encoder writes JSON, with a newline after it."""
    everything = {"Content-Type": "application/json", **(headers or {})}
    return await send(notification, config, means, url, json_bytes(message) + b"\n", everything, method)


def check(reply: Reply, retried: Collection[int] = ()) -> None:
    """Take 2xx; say of anything else whether trying again may help: of 5xx, and of some.

    raises  NotDelivered
    """
    if reply.status // 100 == 2:
        return
    text = reply.body[:_SHOWN_MAX].decode(errors="replace")
    permanent = reply.status // 100 != 5 and reply.status not in retried
    raise NotDelivered(f"unexpected status code {reply.status}" + (f": {text}" if text else ""), permanent=permanent)


def joined(base: str, path: str) -> str:
    """Add a path to a URL's."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/" + path.lstrip("/")))


def filled(message: Mapping[str, Any], *, keep: Collection[str] = ()) -> dict[str, Any]:
    """Leave out what is empty, as Go's omitempty does, but for some fields."""
    return {name: value for name, value in message.items() if name in keep or value not in ("", None, False, [], {}, 0)}


def cut(text: str, characters: int) -> str:
    """Shorten a text to so many characters, the last of which is then an ellipsis."""
    if len(text) <= characters:
        return text
    return text[:characters] if characters <= 3 else text[: characters - 1] + "…"


def cut_bytes(text: str, length: int) -> str:
    """Shorten a text to so many bytes of UTF-8, with an ellipsis at its end."""
    data = text.encode()
    if len(data) <= length:
        return text
    return data[: length - 3].decode(errors="ignore") + "…"
