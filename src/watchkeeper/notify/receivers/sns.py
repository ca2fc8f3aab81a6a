"""Publishes to Amazon SNS.

source  github.com/prometheus/alertmanager, notify/sns; AWS, Publish; Signature Version 4
"""

import asyncio
import configparser
import hashlib
import hmac
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

from watchkeeper.model.errors import NotDelivered
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, cut_bytes
from watchkeeper.notify.post import send as request
from watchkeeper.notify.receiver_settings import SigV4, SnsConfig

_SUBJECT_MAX, _SMS_MAX, _MESSAGE_BYTES_MAX = 100, 1600, 256 * 1024
_FORM = "application/x-www-form-urlencoded"


async def send(notification: Notification, config: SnsConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    form = _form(notification, means.texts(notification), config)
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form).encode()
    region = config.sigv4.region or os.environ.get("AWS_REGION", "us-east-1")
    url = config.api_url or f"https://sns.{region}.amazonaws.com/"
    keys = await asyncio.to_thread(_keys, config.sigv4)
    headers = signed(url, body, region, "sns", keys, datetime.now(UTC))
    check(await request(notification, config, means, url, body, headers))


def _form(notification: Notification, texts: Texts, config: SnsConfig) -> list[tuple[str, str]]:
    topic, phone = texts.text(config.topic_arn), texts.text(config.phone_number)
    whole = texts.text(config.message)
    message = cut(whole, _SMS_MAX) if phone else cut_bytes(whole, _MESSAGE_BYTES_MAX)
    attributes = {texts.text(name): texts.text(value) for name, value in config.attributes.items()}
    if message != whole:
        attributes["truncated"] = "true"
    form = {"Action": "Publish", "Version": "2010-03-31", "Message": message, "TopicArn": topic, "PhoneNumber": phone}
    form["TargetArn"] = texts.text(config.target_arn)
    if config.subject:
        form["Subject"] = cut(texts.text(config.subject), _SUBJECT_MAX)
    if topic.endswith(".fifo"):
        form["MessageDeduplicationId"] = form["MessageGroupId"] = notification.key
    for at, (name, value) in enumerate(sorted(attributes.items()), 1):
        entry = f"MessageAttributes.entry.{at}"
        form |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
    return [(name, value) for name, value in sorted(form.items()) if value]


def _keys(config: SigV4) -> tuple[str, str, str]:
    """Give access key, secret key and session token: from the configuration, a profile, or the environment."""
    if config.access_key and config.secret_key is not None:
        return config.access_key, config.secret_key.get_secret_value(), ""
    profile = config.profile or ("" if "AWS_ACCESS_KEY_ID" in os.environ else os.environ.get("AWS_PROFILE", "default"))
    if not profile:
        environ = os.environ.get
        return environ("AWS_ACCESS_KEY_ID", ""), environ("AWS_SECRET_ACCESS_KEY", ""), environ("AWS_SESSION_TOKEN", "")
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    known = configparser.ConfigParser(interpolation=None)
    known.read(path, encoding="utf-8")
    if profile not in known:
        raise NotDelivered("cannot sign for AWS: got no keys in sigv4, environment or profile", permanent=True)
    own = known[profile]
    return (
        own.get("aws_access_key_id", ""),
        own.get("aws_secret_access_key", ""),
        own.get("aws_session_token", ""),
    )


def signed(
    url: str, body: bytes, region: str, service: str, keys: tuple[str, str, str], now: datetime
) -> dict[str, str]:
    """Give the headers of a signed POST.

    source  AWS, Create a signed AWS API request
    """
    parts, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    access, secret_key, token = keys
    headers = {"content-type": _FORM, "host": parts.netloc, "x-amz-date": stamp}
    if token:
        headers["x-amz-security-token"] = token
    names = ";".join(headers)
    canonical = "\n".join(
        [
            "POST",
            parts.path or "/",
            parts.query,
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    out = {"Content-Type": _FORM, "X-Amz-Date": stamp, "Authorization": authorization}
    return out | ({"X-Amz-Security-Token": token} if token else {})
