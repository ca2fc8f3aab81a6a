"""How outgoing requests are authenticated, secured and routed, as both prometheus.yml and alertmanager.yml have it.

source  Prometheus docs, Configuration, <http_config>; prometheus/common, config/http_config.go
"""

import asyncio
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.fields import Secret, Several, Text, TextMap
from watchkeeper.net.client import RequestOptions
from watchkeeper.net.oauth2 import TokenOptions
from watchkeeper.net.proxy import Proxy, from_environment
from watchkeeper.net.tls import TlsOptions


class BasicAuth(Settings):
    """User and password, each in the file or beside it."""

    username: Text = setting("", "User name.")
    username_file: Text = setting("", "A file that holds the user name.")
    password: Secret | None = setting(None, "Password.")
    password_file: Text = setting("", "A file that holds the password.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.username and self.username_file:
            raise ValueError("at most one of basic_auth username, username_file & username_ref must be configured")
        if self.password and self.password_file:
            raise ValueError("at most one of basic_auth password, password_file & password_ref must be configured")
        return self


class Authorization(Settings):
    """The Authorization header."""

    type: Text = setting("Bearer", "The scheme, such as Bearer.")
    credentials: Secret | None = setting(None, "What follows the scheme.")
    credentials_file: Text = setting("", "A file that holds the credentials.")

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.credentials and self.credentials_file:
            raise ValueError("at most one of authorization credentials & credentials_file must be configured")
        if self.type.strip().lower() == "basic":
            raise ValueError('authorization type cannot be set to "basic", use "basic_auth" instead')
        return self


class TlsConfig(Settings):
    """How a server proves itself to us, and we to it."""

    ca: Text = setting("", "Certificate authorities, PEM.")
    ca_file: Text = setting("", "A file of certificate authorities.")
    cert: Text = setting("", "Our certificate, PEM.")
    cert_file: Text = setting("", "A file with our certificate.")
    key: Secret | None = setting(None, "Our key, PEM.")
    key_file: Text = setting("", "A file with our key.")
    server_name: Text = setting("", "The name that the server's certificate must be for.")
    insecure_skip_verify: bool = setting(False, "Take any certificate.")
    min_version: Text = setting("", "TLS10 to TLS13.")
    max_version: Text = setting("", "TLS10 to TLS13.")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        for text, file, name in ((self.ca, self.ca_file, "ca"), (self.cert, self.cert_file, "cert")):
            if text and file:
                raise ValueError(f"at most one of {name}, {name}_file & {name}_ref must be configured")
        if self.key and self.key_file:
            raise ValueError("at most one of key and key_file must be configured")
        if bool(self.cert or self.cert_file) != bool(self.key or self.key_file):
            raise ValueError(
                "exactly one of key or key_file must be configured when a client certificate is configured"
            )
        for version in (self.min_version, self.max_version):
            if version not in ("", "TLS10", "TLS11", "TLS12", "TLS13"):
                raise ValueError(f"unknown TLS version: {version}")
        return self


class HeaderValues(Settings):
    """Values of one extra header."""

    values: Several[str] = setting((), "Values.")
    secrets: Several[Secret] = setting((), "Values that are not shown.")
    files: Several[str] = setting((), "Files that hold values.")


class ProxySettings(Settings):
    """Whether and how a proxy is asked instead."""

    proxy_url: Text = setting("", "The HTTP proxy that is asked: http://user:password@host:port.")
    no_proxy: Text = setting("", "Hosts, domains, addresses and networks asked directly, with commas between.")
    proxy_from_environment: bool = setting(False, "Heed HTTP_PROXY, HTTPS_PROXY and NO_PROXY instead.")
    proxy_connect_header: dict[str, Several[Secret]] | None = setting(
        None, "Headers for the proxy when it is asked for a tunnel (CONNECT)."
    )

    @model_validator(mode="after")
    def _proxy_fits(self) -> Self:
        if self.proxy_connect_header and not self.proxy_from_environment and not self.proxy_url:
            raise ValueError(
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured"
            )
        if self.proxy_from_environment and self.proxy_url:
            raise ValueError("if proxy_from_environment is configured, proxy_url must not be configured")
        if self.proxy_from_environment and self.no_proxy:
            raise ValueError("if proxy_from_environment is configured, no_proxy must not be configured")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("if no_proxy is configured, proxy_url must also be configured")
        if self.proxy_url and urlsplit(self.proxy_url).scheme != "http":
            raise ValueError("proxy_url: http://host:port (other kinds of proxies are not supported)")
        if self.proxy_url and not urlsplit(self.proxy_url).hostname:
            raise ValueError("proxy_url: a URL with a host, such as http://proxy:3128")
        return self


class OAuth2(ProxySettings):
    """Tokens fetched with client credentials (RFC 6749, 4.4)."""

    client_id: Text = setting("", "The client.")
    client_secret: Secret | None = setting(None, "Its secret.")
    client_secret_file: Text = setting("", "A file that holds the secret.")
    scopes: Several[str] = setting((), "What is asked for.")
    token_url: Text = setting("", "Where tokens are fetched.")
    endpoint_params: TextMap = setting(dict, "More parameters of the token request.")
    tls_config: TlsConfig | None = setting(None, "TLS of the token request.")
    grant_type: Literal["", "client_credentials"] = setting("", "How tokens are got; by default client_credentials.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.client_id:
            raise ValueError("oauth2 client_id must be configured")
        if not self.token_url:
            raise ValueError("oauth2 token_url must be configured")
        if self.client_secret and self.client_secret_file:
            raise ValueError(
                "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured"
            )
        return self


class HttpConfig(ProxySettings):
    """How requests are made."""

    basic_auth: BasicAuth | None = setting(None, "Basic authentication.")
    authorization: Authorization | None = setting(None, "The Authorization header.")
    oauth2: OAuth2 | None = setting(None, "OAuth 2.0.")
    bearer_token: Secret | None = setting(None, "Deprecated: authorization.credentials.")
    bearer_token_file: Text = setting("", "Deprecated: authorization.credentials_file.")
    tls_config: TlsConfig | None = setting(None, "TLS.")
    follow_redirects: bool = setting(True, "Follow redirects; credentials never go to another host.")
    enable_http2: bool = setting(True, "Accepted; requests use HTTP/1.1.")
    http_headers: dict[str, HeaderValues] | None = setting(None, "Extra headers.")

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> Self:
        bearer = self.bearer_token is not None, bool(self.bearer_token_file)
        if all(bearer):
            raise ValueError("at most one of bearer_token & bearer_token_file must be configured")
        if any(bearer) and (self.basic_auth is not None or self.oauth2 is not None):
            raise ValueError("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured")
        if any(bearer) and self.authorization is not None:
            raise ValueError("authorization is not compatible with bearer_token & bearer_token_file")
        if sum(way is not None for way in (self.basic_auth, self.authorization, self.oauth2)) > 1:
            raise ValueError("at most one of basic_auth, oauth2 & authorization must be configured")
        for name in self.http_headers or {}:
            if any(character not in _TOKEN_CHARACTERS for character in name) or name.title() in _RESERVED_HEADERS:
                raise ValueError(f"setting header {name!r} is not allowed")
        return self


_TOKEN_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_RESERVED_HEADERS = frozenset(
    {
        "Accept-Encoding",
        "Authorization",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Host",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Te",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "User-Agent",
        "Www-Authenticate",
    }
)


def read_secret(inline: Secret | None, file: str) -> str:
    """Give a secret from the configuration or, fresh each time, from its file.

    raises  NotDelivered when the file cannot be read; trying again may help
    """
    if inline is not None:
        return inline.get_secret_value()
    return read_secret_file(file) if file else ""


def read_secret_file(file: str) -> str:
    """Give a file's text without surrounding white space.

    raises  NotDelivered when it cannot be read
    """
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotDelivered(f"cannot read {file}: {error}", permanent=False) from None


def reads_files(settings: Settings) -> bool:
    """Say whether secrets of these settings lie in files, which are read anew for each request."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if (name.endswith("_file") or name == "files") and value:
            return True
        nested = value.values() if isinstance(value, dict) else (value,)
        if any(isinstance(one, Settings) and reads_files(one) for one in nested):
            return True
    return False


async def current_options(config: HttpConfig, timeout_s: float) -> RequestOptions:
    """Do as `request_options`, in a thread where secrets lie in files."""
    if reads_files(config):
        return await asyncio.to_thread(request_options, config, timeout_s)
    return request_options(config, timeout_s)


def request_options(config: HttpConfig, timeout_s: float) -> RequestOptions:
    """Say HTTP settings in the client's words, with secrets read from their files.

    raises  NotDelivered when a file cannot be read
    """
    basic, bearer = None, None
    if config.basic_auth is not None:
        auth = config.basic_auth
        user = auth.username or (read_secret_file(auth.username_file) if auth.username_file else "")
        basic = (user, read_secret(auth.password, auth.password_file))
    elif config.authorization is not None:
        auth_header = config.authorization
        scheme = auth_header.type.strip() or "Bearer"
        bearer = f"{scheme} {read_secret(auth_header.credentials, auth_header.credentials_file)}".strip()
    elif config.bearer_token is not None or config.bearer_token_file:
        bearer = f"Bearer {read_secret(config.bearer_token, config.bearer_token_file)}"
    return RequestOptions(
        timeout_s=timeout_s,
        basic=basic,
        authorization=bearer,
        tokens=_tokens(config.oauth2) if config.oauth2 is not None else None,
        headers=_headers(config),
        tls=tls_options(config.tls_config) if config.tls_config is not None else None,
        follow_redirects=config.follow_redirects,
        proxy=_proxy(config),
    )


def _headers(config: HttpConfig) -> tuple[tuple[str, str], ...]:
    out: list[tuple[str, str]] = []
    for name, header in (config.http_headers or {}).items():
        out.extend((name, value) for value in header.values)
        out.extend((name, secret.get_secret_value()) for secret in header.secrets)
        out.extend((name, read_secret_file(file)) for file in header.files)
    return tuple(out)


def _proxy(config: ProxySettings) -> Proxy | None:
    given = config.proxy_connect_header or {}
    connect = tuple((name, one.get_secret_value()) for name, values in given.items() for one in values)
    if config.proxy_from_environment:
        return from_environment(os.environ, connect)
    if not config.proxy_url:
        return None
    return Proxy(config.proxy_url, config.proxy_url, config.no_proxy, connect, always=not config.no_proxy)


def _tokens(config: OAuth2) -> TokenOptions:
    return TokenOptions(
        config.token_url,
        config.client_id,
        read_secret(config.client_secret, config.client_secret_file),
        config.scopes,
        tuple(sorted(config.endpoint_params.items())),
        tls_options(config.tls_config) if config.tls_config is not None else None,
        _proxy(config),
    )


def tls_options(config: TlsConfig | None) -> TlsOptions:
    """Say TLS settings in the client's words, with files read.

    raises  NotDelivered when a file cannot be read
    """
    if config is None:
        return TlsOptions()
    return TlsOptions(
        ca_pem=config.ca or (read_secret_file(config.ca_file) if config.ca_file else ""),
        cert_pem=config.cert or (read_secret_file(config.cert_file) if config.cert_file else ""),
        key_pem=read_secret(config.key, config.key_file),
        server_name=config.server_name,
        insecure_skip_verify=config.insecure_skip_verify,
        min_version=config.min_version,
        max_version=config.max_version,
    )
