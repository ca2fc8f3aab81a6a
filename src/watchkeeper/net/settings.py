"""What may be set about the listener, the gate before every body, and signing in."""

from watchkeeper.model.document import Settings, setting


class NetSettings(Settings):
    """The one listener and its gate."""

    listen: str = setting("127.0.0.1:9090", "Address and port to listen on.")
    external_url: str = setting(
        "", "Where people find the web UI, when a proxy stands before it; https:// marks cookies Secure and sends HSTS."
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names that requests may be addressed to, without port; others are answered 421. Empty: only loopback "
        "names when the listener is loopback, any otherwise.",
    )
    cors_origin: str = setting(
        "",
        "Regular expression (it matches whole) of the origins whose pages may read answers, as Prometheus' "
        "web.cors.origin, such as https?://grafana[.]example; empty: none.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (), "Addresses or networks whose X-Forwarded-For is believed, such as 10.0.0.0/8."
    )
    header_timeout_s: float = setting(10.0, "A request whose head takes longer is cut off.", unit="s", gt=0)
    body_timeout_s: float = setting(
        10.0, "A body that pauses, or comes slower than 16 KiB/s beyond this, is answered 408.", unit="s", gt=0
    )
    head_bytes_max: int = setting(64 << 10, "Longest request line and headers together.", unit="bytes", gt=0)
    idle_timeout_s: float = setting(75.0, "A connection without a request is closed after this.", unit="s", gt=0)
    connections_max: int = setting(8192, "More connections than this are closed at once.", unit="connections", gt=0)
    requests_max: int = setting(
        1024, "More requests than this at the same time are answered 503.", unit="requests", gt=0
    )
    bodies_bytes_max: int = setting(
        256 << 20, "Bodies being received and unpacked at the same time; more are answered 503.", unit="bytes", gt=0
    )
    form_fields_max: int = setting(10_000, "Most parameters of one request.", unit="fields", gt=0)


class AuthSettings(Settings):
    """Signing in: passwords, sessions, and what stops guessing."""

    password_length_min: int = setting(8, "Shortest new password.", unit="characters", ge=1)
    tries_max: int = setting(5, "Wrong passwords for one user from one address before 429.", unit="tries", gt=0)
    address_tries_max: int = setting(50, "Wrong passwords from one address, any user, before 429.", unit="tries", gt=0)
    tries_window_s: float = setting(300.0, "Wrong passwords are forgotten after this.", unit="s", gt=0)
    session_idle_days: float = setting(7.0, "A session unused for this long ends.", unit="d", gt=0)
    session_days: float = setting(30.0, "Every session ends after this.", unit="d", gt=0)
