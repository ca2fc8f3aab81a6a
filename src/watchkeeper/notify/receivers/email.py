"""Sends an e-mail.

source  github.com/prometheus/alertmanager, notify/email; RFC 5321, 5322, 2045
"""

import asyncio
import base64
import secrets
import socket
import ssl
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

import aiosmtplib

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import forbidden
from watchkeeper.net.http_config import read_secret, tls_options
from watchkeeper.net.tls import tls_context
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.receiver_settings import EmailConfig

_IMPLICIT_TLS_PORT = 465


async def send(notification: Notification, config: EmailConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; trying again may help, unless addresses, credentials or the server's answer forbid it
    """
    texts = means.texts(notification)
    sender, recipients = _addresses(texts, config)
    message = _message(notification, texts, config)
    host, _, port = config.smarthost.rpartition(":")
    await _check_host(host, int(port))
    client = await _connected(notification, config, host.strip("[]"), int(port))
    try:
        await _secure(client, config, host)
        await _log_in(client, config)
        refused, answer = await client.sendmail(sender, recipients, message.as_bytes(policy=policy.SMTP))
        if refused:
            raise NotDelivered(f"some recipients were refused: {sorted(refused)}: {answer}", permanent=False)
    except aiosmtplib.SMTPResponseException as error:
        raise NotDelivered(f"{error.code} {error.message}", permanent=error.code // 100 == 5) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        answers = [f"{one.code} {one.message}" for one in error.recipients]
        raise NotDelivered(f"recipients were refused: {answers[0]}", permanent=True) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotDelivered(f"cannot send mail by {config.smarthost}: {error}", permanent=False) from None
    finally:
        client.close()


def _addresses(texts: Texts, config: EmailConfig) -> tuple[str, list[str]]:
    senders = [address for _, address in getaddresses([texts.text(config.from_)]) if address]
    if len(senders) != 1:
        raise NotDelivered(f"must be exactly one 'from' address (got: {len(senders)})", permanent=True)
    recipients = [address for _, address in getaddresses([texts.text(config.to)]) if address]
    if not recipients:
        raise NotDelivered("parse 'to' addresses: mail: no address", permanent=True)
    return senders[0], recipients


def _message(notification: Notification, texts: Texts, config: EmailConfig) -> EmailMessage:
    message = EmailMessage(policy.SMTP)
    headers = {name.title(): value for name, value in config.headers.items()}
    headers.setdefault("From", config.from_)
    headers.setdefault("To", config.to)
    headers.setdefault("Subject", '{{ template "email.default.subject" . }}')
    for name, value in sorted(headers.items()):
        message[name] = " ".join(texts.text(value).split("\n")).replace("\r", " ").replace("\0", "")
    now = datetime.now(UTC)
    message["Date"] = format_datetime(now)
    if "Message-Id" not in headers:
        message["Message-Id"] = f"<{now.timestamp() * 1e9:.0f}.{secrets.randbits(63)}@{socket.gethostname()}>"
    if config.threading is not None and config.threading.enabled:
        day = f"{now:%Y-%m-%d}" if config.threading.thread_by_date == "daily" else ""
        thread = f"<alert-{notification.key[:16]}-{day}@alertmanager>"
        message["References"] = message["In-Reply-To"] = thread
    message["MIME-Version"] = "1.0"
    for subtype, content in (("plain", texts.text(config.text)), ("html", texts.html(config.html))):
        if content:
            message.add_alternative(content, subtype=subtype, cte="quoted-printable")
    return message


async def _check_host(host: str, port: int) -> None:
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotDelivered(f"cannot reach {host}: {error}", permanent=False) from None
    if any(forbidden(str(info[4][0])) for info in infos):
        raise NotDelivered(f"cannot use {host}: its address is link-local, which is never allowed", permanent=True)


async def _connected(notification: Notification, config: EmailConfig, host: str, port: int) -> aiosmtplib.SMTP:
    implicit = port == _IMPLICIT_TLS_PORT if config.force_implicit_tls is None else config.force_implicit_tls
    client = aiosmtplib.SMTP(
        hostname=host,
        port=port,
        use_tls=implicit,
        start_tls=False,
        local_hostname=config.hello or "localhost",
        timeout=notification.timeout_s,
        tls_context=await _context(config) if implicit else None,
    )
    try:
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotDelivered(f"cannot reach {config.smarthost}: {error}", permanent=False) from None
    return client


async def _secure(client: aiosmtplib.SMTP, config: EmailConfig, host: str) -> None:
    await client.ehlo()
    if client.is_connected and client.get_transport_info("sslcontext") is not None:
        return
    if config.require_tls is False:
        return
    if not client.supports_extension("STARTTLS"):
        raise NotDelivered(
            f"'require_tls' is true (default) but {config.smarthost!r} does not advertise the STARTTLS extension",
            permanent=True,
        )
    await client.starttls(tls_context=await _context(config), server_hostname=_server_name(config, host))
    await client.ehlo()


async def _context(config: EmailConfig) -> ssl.SSLContext:
    return await asyncio.to_thread(lambda: tls_context(tls_options(config.tls_config)))


def _server_name(config: EmailConfig, host: str) -> str:
    return (config.tls_config.server_name if config.tls_config is not None else "") or host


async def _log_in(client: aiosmtplib.SMTP, config: EmailConfig) -> None:
    if not config.auth_username or not client.supports_extension("AUTH"):
        return
    secret = await asyncio.to_thread(read_secret, config.auth_secret, config.auth_secret_file)
    password = await asyncio.to_thread(read_secret, config.auth_password, config.auth_password_file)
    offered = [one.upper() for one in client.server_auth_methods]
    for method in offered:  # in the server's order
        if method == "CRAM-MD5" and secret:
            await client.auth_crammd5(config.auth_username, secret)
        elif method == "PLAIN" and password:
            raw = f"{config.auth_identity}\0{config.auth_username}\0{password}".encode()
            answer = await client.execute_command(b"AUTH", b"PLAIN", base64.b64encode(raw))
            if answer.code != aiosmtplib.SMTPStatus.auth_successful:
                raise NotDelivered(f"{answer.code} {answer.message}", permanent=True)
        elif method == "LOGIN" and password:
            await client.auth_login(config.auth_username, password)
        else:
            continue
        return
    raise NotDelivered(f"unknown auth mechanism: {' '.join(offered)}", permanent=True)
