"""Prometheus' status API: what is scraped, which rules and alerts there are, how this server is set.

source  https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import PlainTextResponse, Response

from watchkeeper.api.envelope import error, failure, success
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import match_all
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.query.promql.parser import selectors

Json = dict[str, Any]
_COME_AGAIN = b"retry: 5000\n\n"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answers come from; each is called at each request and gives Prometheus' own JSON shapes.

    targets       active targets: discoveredLabels, labels, scrapePool, scrapeUrl, globalUrl, lastError, lastScrape, …
    dropped       dropped targets: discoveredLabels, scrapePool; at most keep_dropped_targets a pool
    dropped_counts  all of them, by pool
    target_metadata  labels of each target, and what it says about its metric families
    rules         {"groups": […]} as the request's parameters ask; raises BadInput in Prometheus' words
    alerts        {"alerts": […]}
    alertmanagers {"activeAlertmanagers": […], "droppedAlertmanagers": […]}
    config        the configuration file's text
    flags, build, runtime, features   plain mappings
    notifications  text, date, active
    """

    targets: Callable[[], Sequence[Json]] = list
    dropped: Callable[[], Sequence[Json]] = list
    dropped_counts: Callable[[], Mapping[str, int]] = dict
    target_metadata: Callable[[], Sequence[tuple[Labels, Mapping[str, MetricMetadata]]]] = list
    rules: Callable[[Sequence[tuple[str, str]]], Json] = lambda _: {"groups": []}
    alerts: Callable[[], Json] = lambda: {"alerts": []}
    alertmanagers: Callable[[], Json] = lambda: {"activeAlertmanagers": [], "droppedAlertmanagers": []}
    config: Callable[[], str] = str
    flags: Callable[[], Mapping[str, str]] = dict
    build: Callable[[], Mapping[str, str]] = dict
    runtime: Callable[[], Json] = dict
    features: Callable[[], Json] = dict
    notifications: Callable[[], Sequence[Json]] = list


@dataclass(frozen=True, slots=True)
class _Status:
    sources: Sources

    async def targets(self, call: Call) -> Response:
        """Answer GET /api/v1/targets; state=active|dropped|any, scrapePool=."""
        state, pool = call.first("state").lower() or "any", call.first("scrapePool")
        data: Json = {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": None}
        if state in ("any", "active"):
            data["activeTargets"] = [one for one in self.sources.targets() if pool in ("", one.get("scrapePool"))]
        if state in ("any", "dropped"):
            dropped = self.sources.dropped()
            data["droppedTargets"] = [one for one in dropped if pool in ("", one.get("scrapePool"))]
            data["droppedTargetCounts"] = dict(self.sources.dropped_counts())
        return success(data)

    async def target_metadata(self, call: Call) -> Response:
        """Answer GET /api/v1/targets/metadata; match_target=, metric=, limit=."""
        metric, text, wanted = call.first("metric"), call.first("limit"), call.first("match_target")
        if text and not text.removeprefix("-").isdecimal():
            return failure(400, "bad_data", "limit must be a number")
        try:
            matchers = selectors(wanted) if wanted else []
        except BadInput as fault:
            return failure(400, "bad_data", f'invalid parameter "match_target": {fault}')
        limit = int(text[:9]) if text and not text.startswith("-") else sys.maxsize
        found: list[Json] = []
        for labels, families in self.sources.target_metadata():
            if len(found) >= limit:  # a target once begun is told whole, as in Prometheus
                break
            if not match_all(matchers, labels):
                continue
            if metric:
                said = families.get(metric)
                found += [] if said is None else [{"target": labels, **_said(said)}]
            else:
                found += [{"target": labels, "metric": name, **_said(said)} for name, said in families.items()]
        return success(found)

    async def notifications(self, _call: Call) -> Response:
        """Answer GET /api/v1/notifications: what the program has to say to who looks at it."""
        return success(self.sources.notifications())

    async def live_notifications(self, _call: Call) -> Response:
        """Answer GET /api/v1/notifications/live: the same as server-sent events.

        The stream ends and tells the browser when to come again, so that nobody holds a connection.
        """
        events = [b"data: " + orjson.dumps(one) + b"\n\n" for one in self.sources.notifications()]
        body = b"".join((_COME_AGAIN, *events))
        return Response(body, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def scrape_pools(self, _call: Call) -> Response:
        """Answer GET /api/v1/scrape_pools."""
        every = [*self.sources.targets(), *self.sources.dropped()]
        return success({"scrapePools": sorted({str(one["scrapePool"]) for one in every if one.get("scrapePool")})})

    async def rules(self, call: Call) -> Response:
        """Answer GET /api/v1/rules; type=, rule_name[]=, rule_group[]=, file[]=, match[]=, group_limit= …"""
        return success(self.sources.rules(call.params))

    async def alerts(self, _call: Call) -> Response:
        """Answer GET /api/v1/alerts."""
        return success(self.sources.alerts())

    async def alertmanagers(self, _call: Call) -> Response:
        """Answer GET /api/v1/alertmanagers."""
        return success(self.sources.alertmanagers())

    async def config(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/config."""
        return success({"yaml": self.sources.config()})

    async def flags(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/flags."""
        return success(dict(self.sources.flags()))

    async def build(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/buildinfo."""
        return success(dict(self.sources.build()))

    async def runtime(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/runtimeinfo."""
        return success(self.sources.runtime())

    async def version(self, _call: Call) -> Response:
        """Answer GET /version."""
        return PlainTextResponse(orjson.dumps(dict(self.sources.build()), option=orjson.OPT_APPEND_NEWLINE))

    async def features(self, _call: Call) -> Response:
        """Answer GET /api/v1/features."""
        return success(self.sources.features())


def _said(said: MetricMetadata) -> Json:
    return {"type": said.type, "help": said.help, "unit": said.unit}


def routes(sources: Sources) -> list[Route]:
    """Give the status routes."""
    page = _Status(sources)
    table = (
        ("/api/v1/targets", page.targets, "Scrape targets"),
        ("/api/v1/targets/metadata", page.target_metadata, "Metadata of the metrics of targets"),
        ("/api/v1/scrape_pools", page.scrape_pools, "Names of scrape jobs"),
        ("/api/v1/rules", page.rules, "Rules and their state"),
        ("/api/v1/alerts", page.alerts, "Active alerts"),
        ("/api/v1/alertmanagers", page.alertmanagers, "Alertmanagers that alerts are sent to"),
        ("/api/v1/status/config", page.config, "The configuration in use"),
        ("/api/v1/status/flags", page.flags, "Flags in use"),
        ("/api/v1/status/buildinfo", page.build, "Version and build"),
        ("/api/v1/status/runtimeinfo", page.runtime, "The running process"),
        ("/api/v1/notifications", page.notifications, "What the program has to say to who looks at it"),
        ("/api/v1/notifications/live", page.live_notifications, "The same as server-sent events"),
        ("/version", page.version, "Version and build, as plain JSON"),
        ("/api/v1/features", page.features, "What this server can do"),
    )
    return [Route(path, ("GET",), handler, READ, summary, error=error) for path, handler, summary in table]
