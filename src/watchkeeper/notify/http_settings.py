"""`http_config` of alertmanager.yml: how a receiver's requests are authenticated and secured."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import RequestOptions, TlsOptions
from watchkeeper.notify.field_types import NotYet, Secret, Several, Text


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


class HttpConfig(Settings):
    """How requests are made."""

    basic_auth: BasicAuth | None = setting(None, "Basic authentication.")
    authorization: Authorization | None = setting(None, "The Authorization header.")
    oauth2: NotYet = setting(None, "OAuth 2.0; not supported yet.")
    bearer_token: Secret | None = setting(None, "Deprecated: authorization.credentials.")
    bearer_token_file: Text = setting("", "Deprecated: authorization.credentials_file.")
    tls_config: TlsConfig | None = setting(None, "TLS.")
    follow_redirects: bool = setting(True, "Follow redirects; credentials never go to another host.")
    enable_http2: bool = setting(True, "Accepted; requests use HTTP/1.1.")
    http_headers: dict[str, HeaderValues] | None = setting(None, "Extra headers.")
    proxy_url: NotYet = setting(None, "An HTTP proxy; not supported yet.")
    no_proxy: NotYet = setting(None, "Hosts reached without the proxy; not supported yet.")
    proxy_from_environment: bool = setting(False, "Accepted when false.")
    proxy_connect_header: NotYet = setting(None, "Headers for the proxy; not supported yet.")

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> Self:
        ways = [self.basic_auth, self.authorization, self.bearer_token, self.bearer_token_file or None]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured")
        if self.proxy_from_environment:
            raise ValueError("proxy_from_environment: false (proxies are not supported yet)")
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


def request_options(config: HttpConfig, timeout_s: float) -> RequestOptions:
    """Say a receiver's HTTP settings in the client's words, with secrets read from their files.

    raises  NotDelivered when a file cannot be read
    """
    basic, bearer = None, None
    if config.basic_auth is not None:
        auth = config.basic_auth
        user = auth.username or (read_secret_file(auth.username_file) if auth.username_file else "")
        basic = (user, read_secret(auth.password, auth.password_file))
    elif config.authorization is not None:
        auth_header = config.authorization
        bearer = f"{auth_header.type.strip()} {read_secret(auth_header.credentials, auth_header.credentials_file)}"
    elif config.bearer_token is not None or config.bearer_token_file:
        bearer = f"Bearer {read_secret(config.bearer_token, config.bearer_token_file)}"
    return RequestOptions(
        timeout_s=timeout_s,
        basic=basic,
        authorization=bearer,
        headers=_headers(config),
        tls=tls_options(config.tls_config) if config.tls_config is not None else None,
        follow_redirects=config.follow_redirects,
    )


def _headers(config: HttpConfig) -> tuple[tuple[str, str], ...]:
    out: list[tuple[str, str]] = []
    for name, header in (config.http_headers or {}).items():
        out.extend((name, value) for value in header.values)
        out.extend((name, secret.get_secret_value()) for secret in header.secrets)
        out.extend((name, read_secret_file(file)) for file in header.files)
    return tuple(out)


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
