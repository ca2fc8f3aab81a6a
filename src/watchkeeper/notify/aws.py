"""Signed requests to AWS: keys from the configuration, a profile or the environment, and roles taken with them.

source  AWS, Create a signed AWS API request; AWS STS, AssumeRole
"""

import asyncio
import configparser
import hashlib
import hmac
import html
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

from pydantic import model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.fields import Secret, Text
from watchkeeper.net.client import Client, Reply, RequestOptions

FORM = "application/x-www-form-urlencoded"
_ROLE_S = 900  # as Alertmanager asks for
_EARLY = timedelta(seconds=60)  # keys are renewed so long before they end


class SigV4(Settings):
    """How requests to AWS are signed; with neither keys nor a profile, from the environment."""

    region: Text = setting("", "Region.")
    access_key: Text = setting("", "Access key.")
    secret_key: Secret | None = setting(None, "Secret key.")
    profile: Text = setting("", "A profile of ~/.aws/credentials.")
    role_arn: Text = setting("", "A role to take with them.")
    external_id: Text = setting("", "What the role's owner wants to be told.")
    use_fips_sts_endpoint: bool = setting(False, "Whether roles are taken at a FIPS endpoint.")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key and self.secret_key.get_secret_value()):
            message = (
                "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config"
            )
            raise ValueError(message)
        return self

    @property
    def region_name(self) -> str:
        """The region, by the environment where it is not given."""
        return self.region or os.environ.get("AWS_REGION", "us-east-1")


@dataclass(frozen=True, slots=True)
class Keys:
    """What requests are signed with; `token` of keys that end."""

    access: str
    secret: str
    token: str = ""


class Signer:
    """Signs requests by one configuration; a role that was taken is kept until it ends."""

    def __init__(self, config: SigV4) -> None:
        self._config = config
        self._taken: tuple[Keys, datetime] | None = None

    async def headers(
        self, client: Client, url: str, body: bytes, service: str, media: str, options: RequestOptions
    ) -> dict[str, str]:
        """Give the headers of a signed POST.

        options  for the request that takes a role
        raises   NotDelivered when there are no keys, or the role is not given
        """
        keys = await asyncio.to_thread(_keys, self._config)
        if self._config.role_arn:
            keys = await self._role(client, keys, options)
        return signed(url, body, self._config.region_name, service, keys, datetime.now(UTC), media)

    async def _role(self, client: Client, keys: Keys, options: RequestOptions) -> Keys:
        now = datetime.now(UTC)
        if self._taken is not None and now < self._taken[1] - _EARLY:
            return self._taken[0]
        config, region = self._config, self._config.region_name
        host = f"{'sts-fips' if config.use_fips_sts_endpoint else 'sts'}.{region}.amazonaws.com"
        url = os.environ.get("AWS_ENDPOINT_URL_STS", f"https://{host}/")
        form = {"Action": "AssumeRole", "DurationSeconds": str(_ROLE_S), "RoleArn": config.role_arn}
        form |= {"ExternalId": config.external_id} if config.external_id else {}
        form |= {"RoleSessionName": f"watchkeeper-{now:%Y%m%d%H%M%S%f}", "Version": "2011-06-15"}
        body = urlencode(form).encode()
        reply = await client.send("POST", url, body, signed(url, body, region, "sts", keys, now, FORM), options)
        self._taken = _taken(reply, config.role_arn)
        return self._taken[0]


def _taken(reply: Reply, role: str) -> tuple[Keys, datetime]:
    text = reply.body.decode(errors="replace")
    found = dict(re.findall(r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>([^<]*)<", text))
    if reply.status // 100 != 2 or len(found) != 4:
        said = re.search(r"<Message>([^<]*)<", text)
        why = html.unescape(said.group(1)) if said else f"status {reply.status}"
        raise NotDelivered(f"cannot take role {role}: {why[:300]}", permanent=reply.status // 100 != 5)
    keys = Keys(*(html.unescape(found[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
    try:
        return keys, datetime.fromisoformat(found["Expiration"])
    except ValueError:
        return keys, datetime.now(UTC)


def _keys(config: SigV4) -> Keys:
    """Give keys: from the configuration, a profile, or the environment."""
    if config.access_key and config.secret_key is not None:
        return Keys(config.access_key, config.secret_key.get_secret_value())
    profile = config.profile or ("" if "AWS_ACCESS_KEY_ID" in os.environ else os.environ.get("AWS_PROFILE", "default"))
    if not profile:
        environ = os.environ.get
        access, secret = environ("AWS_ACCESS_KEY_ID", ""), environ("AWS_SECRET_ACCESS_KEY", "")
        return Keys(access, secret, environ("AWS_SESSION_TOKEN", ""))
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    known = configparser.ConfigParser(interpolation=None)
    known.read(path, encoding="utf-8")
    if profile not in known:
        raise NotDelivered("cannot sign for AWS: got no keys in sigv4, environment or profile", permanent=True)
    own = known[profile]
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return Keys(*(own.get(name, "") for name in names))


def signed(url: str, body: bytes, region: str, service: str, keys: Keys, now: datetime, media: str) -> dict[str, str]:
    """Give the headers of a signed POST."""
    parts, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": media, "host": parts.netloc, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
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
    key = b"AWS4" + keys.secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    out = {"Content-Type": media, "X-Amz-Date": stamp, "Authorization": authorization}
    return out | ({"X-Amz-Security-Token": keys.token} if keys.token else {})
