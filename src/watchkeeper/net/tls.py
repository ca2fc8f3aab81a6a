"""TLS of outgoing connections: PEM texts in, a context out."""

import ssl
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache

from watchkeeper.model.errors import NotDelivered

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How a server proves itself to us, and we to it. PEM texts, not file names."""

    ca_pem: str = ""
    cert_pem: str = ""
    key_pem: str = field(default="", repr=False)
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    max_version: str = ""


@lru_cache(maxsize=64)
def tls_context(tls: TlsOptions) -> ssl.SSLContext:
    """Give what TLS needs for these options.

    raises  NotDelivered, permanent, when they cannot be used
    """
    try:
        context = ssl.create_default_context(cadata=tls.ca_pem or None)
        if tls.min_version:
            context.minimum_version = _VERSIONS[tls.min_version]
        if tls.max_version:
            context.maximum_version = _VERSIONS[tls.max_version]
        if tls.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert_pem:
            _load_certificate(context, tls)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise NotDelivered(f"cannot use tls_config: {error}", permanent=True) from None
    return context


def _load_certificate(context: ssl.SSLContext, tls: TlsOptions) -> None:
    """Hand certificate and key to OpenSSL, which takes them from a file only; the file lives for the call."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # mode 0600
        file.write(tls.cert_pem + "\n" + tls.key_pem + "\n")
        file.flush()
        context.load_cert_chain(file.name)
