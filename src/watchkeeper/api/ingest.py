"""Samples pushed by others: remote write."""

from starlette.responses import PlainTextResponse, Response

from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.net.answers import Fault
from watchkeeper.net.encoding import decompress
from watchkeeper.net.routing import METRICS_WRITE, Call, Route

_PROTOBUF = "application/x-protobuf"
_VERSION_1 = "prometheus.WriteRequest"


def routes(remote_write: RemoteWrite) -> list[Route]:
    """Give the routes that take samples."""

    async def write(call: Call) -> Response:
        """Store a remote write request; answers when it is on the disk."""
        _check_headers(call)
        body = call.body
        if not call.headers.get("content-encoding"):  # early senders did not say what was always so
            body = decompress(body, "snappy", remote_write.settings.body_bytes_max)
        received = await remote_write.receive(body)
        if received.refused:
            return PlainTextResponse(received.complaint + "\n", 400)
        return Response(status_code=204)

    return [
        Route(
            "/api/v1/write",
            ("POST",),
            write,
            METRICS_WRITE,
            "Remote write 1.0: answers 204 once the samples are on the disk.",
            body_bytes_max=remote_write.settings.body_bytes_max,
            error=lambda status, text: PlainTextResponse(text + "\n", status),
        )
    ]


def _check_headers(call: Call) -> None:
    """Refuse formats other than remote write 1.0.

    raises  Fault 415
    """
    content_type = call.headers.get("content-type", "") or _PROTOBUF
    media, _, rest = content_type.partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";") if part.strip())
    if media.strip().lower() != _PROTOBUF or parameters.get("proto", _VERSION_1) != _VERSION_1:
        want = f"{_PROTOBUF};proto={_VERSION_1}"
        raise Fault(
            415, f"cannot read remote write: got Content-Type {content_type[:120]!r}, want {want}", "content_type"
        )
    encoding = call.headers.get("content-encoding", "") or "snappy"
    if encoding.strip().lower() != "snappy":
        raise Fault(415, f"cannot read remote write: got Content-Encoding {encoding[:60]!r}, want snappy", "encoding")
