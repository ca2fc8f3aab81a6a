"""How the command line talks to a running server: one GET or POST, JSON back, errors as words."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from watchkeeper.model.errors import Refused, WatchkeeperError


@dataclass(frozen=True, slots=True)
class Server:
    """A running watchkeeper (or a Prometheus, Alertmanager or Loki in its place).

    url  such as http://127.0.0.1:9090, without a final slash
    key  an API key, or empty
    """

    url: str
    key: str = ""
    timeout_s: float = 60

    def get(self, path: str, params: Mapping[str, str | Sequence[str]] | None = None) -> Any:
        """Give the JSON that a path answers with.

        raises  WatchkeeperError with the server's own words; Refused when nobody answers
        """
        query = urllib.parse.urlencode(params or {}, doseq=True)
        return self._ask("GET", f"{path}?{query}" if query else path, None)

    def send(self, method: str, path: str, body: object = None) -> Any:
        """Send JSON and give the JSON answer; as `get` otherwise."""
        return self._ask(method, path, None if body is None else orjson.dumps(body))

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        with self._open(method, path, body, {"content-type": "application/json"}) as reply:
            return _json(reply.read())

    @contextmanager
    def stream(self, path: str, body: bytes, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Post bytes and give the answer to be read as it comes; raises as `get`."""
        with self._open("POST", path, body, headers) as reply:
            yield reply

    @contextmanager
    def _open(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        if not self.url.startswith(("http://", "https://")):
            raise WatchkeeperError(f"cannot call {self.url}: got no http:// or https:// address")
        request = urllib.request.Request(  # noqa: S310 (checked above)
            self.url + path, data=body, headers=dict(headers), method=method
        )
        if self.key:
            request.add_header("authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:  # noqa: S310 (checked above)
                yield reply
        except urllib.error.HTTPError as error:
            raise WatchkeeperError(f"{self.url} answered {error.code}: {_reason(error.read())}") from None
        except OSError as error:
            raise Refused(
                f"cannot reach {self.url}: {getattr(error, 'reason', error)}; is `watchkeeper up` running?"
            ) from None


def _json(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode(errors="replace")


def _reason(content: bytes) -> str:
    answer = _json(content)
    if isinstance(answer, dict):
        return str(answer.get("error") or answer.get("message") or answer)
    return str(answer or "no reason given")[:500].strip()
