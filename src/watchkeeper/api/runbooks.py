"""What to do about each built-in alert, where the alerts' runbook links lead."""

from starlette.responses import PlainTextResponse, Response

from watchkeeper.net.answers import Fault
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.rules.bundles import runbooks


def routes() -> list[Route]:
    """Give the runbooks' route."""

    async def runbook(call: Call) -> Response:
        name = call.path["name"]
        text = runbooks().get(name)
        if text is None:
            raise Fault(404, f"cannot find runbook: got {name[:60]!r}, want the name of a built-in alert")
        return PlainTextResponse(f"# {name}\n\n{text}\n", media_type="text/markdown")

    return [Route("/runbooks/{name}", ("GET",), runbook, READ, "What to do about a built-in alert, as Markdown.")]
