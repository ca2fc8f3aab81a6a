"""Samples pushed by others: remote write."""

from starlette.responses import PlainTextResponse, Response

from watchkeeper.collect.remote_write import VERSION_1, VERSION_2, RemoteWrite
from watchkeeper.net.answers import Fault
from watchkeeper.net.encoding import decompress
from watchkeeper.net.routing import METRICS_WRITE, Call, Route

_PROTOBUF = "application/x-protobuf"
_WRITTEN = "X-Prometheus-Remote-Write-"
_ENCODINGS = ("snappy", "zstd")


def routes(remote_write: RemoteWrite) -> list[Route]:
    """Give the routes that take samples."""

    async def write(call: Call) -> Response:
        """Store a remote write request; answers when it is on the disk."""
        message = _message(call)
        body = call.body
        if not call.headers.get("content-encoding"):  # early senders did not say what was always so
            body = decompress(body, "snappy", remote_write.settings.body_bytes_max)
        received = await remote_write.receive(body, message)
        headers = {}
        if message == VERSION_2:
            headers = {
                _WRITTEN + "Samples-Written": str(received.stored),
                _WRITTEN + "Histograms-Written": str(received.histograms),
                _WRITTEN + "Exemplars-Written": str(received.exemplars),
            }
        if received.refused:
            return PlainTextResponse(received.complaint + "\n", 400, headers)
        return Response(status_code=204, headers=headers)

    return [
        Route(
            "/api/v1/write",
            ("POST",),
            write,
            METRICS_WRITE,
            "Remote write 1.0 and 2.0: answers 204 once the samples are on the disk.",
            body_bytes_max=remote_write.settings.body_bytes_max,
            error=lambda status, text: PlainTextResponse(text + "\n", status),
        )
    ]


def _message(call: Call) -> str:
    """Say which message the body is.

    raises  Fault 415 for what is neither remote write 1.0 nor 2.0
    """
    content_type = call.headers.get("content-type", "") or _PROTOBUF
    media, _, rest = content_type.partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";") if part.strip())
    message = parameters.get("proto", VERSION_1).strip('"')
    if media.strip().lower() != _PROTOBUF or message not in (VERSION_1, VERSION_2):
        want = f"{_PROTOBUF};proto={VERSION_1} or {VERSION_2}"
        raise Fault(
            415, f"cannot read remote write: got Content-Type {content_type[:120]!r}, want {want}", "content_type"
        )
    encoding = call.headers.get("content-encoding", "") or "snappy"
    if encoding.strip().lower() not in _ENCODINGS:
        want = " or ".join(_ENCODINGS)
        raise Fault(415, f"cannot read remote write: got Content-Encoding {encoding[:60]!r}, want {want}", "encoding")
    return message
