"""The machine on one page: every part made, joined to the others, put in order; the only place that joins stages."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchkeeper
from watchkeeper.api import (
    alert_history,
    alertmanager,
    audit,
    batch,
    dashboards,
    exemplars,
    federate,
    heartbeats,
    inbox,
    ingest,
    keys,
    login,
    loki,
    loki_push,
    on_call,
    prometheus,
    remote_read,
    ruler,
    runbooks,
    silences,
    status,
    tsdb,
    users,
)
from watchkeeper.api.accounts import Accounts
from watchkeeper.api.audit import AuditTrail
from watchkeeper.api.doorkeeper import StateDoor
from watchkeeper.api.queries import queries_of
from watchkeeper.api.ruler import LogRules
from watchkeeper.app import control, replay_http, shown
from watchkeeper.app.config import Loaded
from watchkeeper.app.features import features
from watchkeeper.app.journal import OwnLog
from watchkeeper.app.machine import Machine, Standing
from watchkeeper.app.overview import Overview
from watchkeeper.app.readings import register_readings
from watchkeeper.app.standings import RuleStandings, standstill
from watchkeeper.app.welcome import Welcome
from watchkeeper.collect.logs.push import Push
from watchkeeper.collect.logs.tailer import Tailer
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.collect.scrape import Scraper
from watchkeeper.exporters import node
from watchkeeper.gateway import rest as gateway
from watchkeeper.gateway.errors import error_lines, error_ratios
from watchkeeper.gateway.overview import Overview as GatewayOverview
from watchkeeper.gateway.services import Sources
from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.doors import Part
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.metrics import exposition
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.client import Client
from watchkeeper.net.listener import Listener
from watchkeeper.notify.cluster import Cluster
from watchkeeper.notify.desk import Desk
from watchkeeper.notify.forward import Forwarder
from watchkeeper.notify.heartbeats import Heartbeats
from watchkeeper.notify.ledger import Ledger
from watchkeeper.notify.silencing import silence_of
from watchkeeper.notify.why import Why
from watchkeeper.query.logql.engine import Engine as LogEngine
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.parser import selectors
from watchkeeper.query.querylog import QueryLog
from watchkeeper.rules.language import ask_logs
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.show import serving
from watchkeeper.show.dashboards import Dashboards
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.room import Room
from watchkeeper.store.rule_files import RuleFiles
from watchkeeper.store.settings import Keep
from watchkeeper.store.state.audit import AuditLog
from watchkeeper.store.state.dashboards import Dashboards as KeptDashboards
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.silences import load_silences

ROLES = ("collect", "store", "rules", "notify", "show", "gateway")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    data       directory of everything that is kept
    where      the configuration's place, for reloads
    listen     host:port; None: as configured
    roles      parts that run; the store always does
    auth_none  everybody is an admin
    admin_api  as if admin_api.enabled were set
    """

    data: Path
    where: Path | None = None
    listen: str | None = None
    roles: frozenset[str] = frozenset(ROLES)
    auth_none: bool = False
    admin_api: bool = False
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


def build(loaded: Loaded, options: Options) -> Machine:
    """Make every part and join them. Nothing is started; the state store alone is opened.

    raises  BadInput for options that cannot work, Damaged when the state store is broken
    """
    own, clock, has = loaded.own, SystemClock(), options.roles.__contains__
    net = own.net.model_copy(update={"listen": options.listen}) if options.listen else own.net
    url = net.external_url or f"http://{net.listen}"
    options.data.mkdir(parents=True, exist_ok=True)
    files = RealFiles(options.data)
    state = StateStore(own.state.address() or f"sqlite:///{(options.data / 'state.db').absolute()}")

    # store
    keeps = [Keep(tuple(selectors(one.match)), parse_duration(one.keep)) for one in own.metrics.retention]
    room = Room(files, own.disk, clock)
    metrics = MetricDb(files, own.metrics, clock, keeps, room)
    logs = LogDb(files, own.logs, clock, room=room)

    # collect
    scraper = Scraper(metrics, clock, own.scrape, exemplars=metrics.exemplars)
    tailer = Tailer(logs, clock, own.tail)

    # query
    engine = Engine(metrics, own.query, metrics, metrics.thinning, metrics.recent)
    query_log = QueryLog(clock)
    queries = queries_of(engine, query_log, clock)
    log_engine = LogEngine(logs, own.log_query)

    # notify, rules
    client = Client(f"watchkeeper/{watchkeeper.__version__}")
    standings = RuleStandings()
    ledger = Ledger(own.ledger, state, clock, standings.pending_since)
    cluster = Cluster(own.cluster, state, clock, url) if state.is_shared else None
    desk = Desk(own.notify, state, clock, client, url, ledger=ledger, cluster=cluster)
    forwarder = Forwarder(own.alertmanagers, client)

    async def send_alerts(alerts: Sequence[Alert]) -> None:
        await forwarder.receive(alerts)
        await desk.receive(alerts)

    rules = RuleRunner(
        engine.ask,
        metrics,
        metrics,
        send_alerts,
        clock,
        external_url=url,
        settings=own.rules,
        ask_logs=ask_logs(log_engine),
    )
    standings.look_at(rules, clock.now_ms())
    why = Why(desk, ledger, standings.standings)
    beats = Heartbeats(
        state, clock, client, desk.receive, lambda: standstill(desk.is_sending, standings, clock, rules=has("rules"))
    )

    # show, gateway
    shelf = Dashboards()
    standing = Standing(loaded, clock.now_ms(), clock.now_ms())
    overview = Overview(scraper, rules, metrics, logs, clock, standing.started_ms)
    sources = Sources(
        overview.targets, overview.firing, error_ratios(engine.ask, clock), error_lines(log_engine, clock)
    )
    agents = GatewayOverview(own.gateway, sources, clock)

    accounts = Accounts(state, own.auth, clock)
    door = OpenDoor(net.listen) if options.auth_none else StateDoor(accounts)
    trail = AuditTrail(AuditLog(state), clock)

    log_rules = LogRules(RuleFiles(files), own.rules.log_groups_max)

    async def apply_rules(now: Loaded) -> None:
        shared = now.prometheus.global_
        await rules.apply(
            (*now.rule_files, *log_rules.files()),
            interval_ms=shared.evaluation_interval,
            query_offset_ms=shared.rule_query_offset,
            external_labels=shared.external_labels,
        )

    async def apply(now: Loaded) -> None:
        given = now.prometheus
        await scraper.apply(given.global_, given.scrape_configs, now.folder)
        await forwarder.apply(given.alerting, now.folder)
        await apply_rules(now)
        query_log.apply(_beside(now, given.global_.query_log_file))
        standings.external_labels = given.global_.external_labels
        desk.apply(now.alertmanager, now.own.on_call)
        beats.apply(now.own.heartbeats)
        tailer.apply(now.tails)
        shelf.point([now.dashboards] if now.dashboards else [])

    register_readings(lambda: standing.ready)
    if has("collect"):
        _watch_without_http(scraper, loaded, net.listen)

    routes = [
        *control.routes(control.Control(lambda: standing.ready, lambda: machine.reload(options.where), overview.page)),
        *prometheus.routes(queries, metrics, _status_sources(standing, options, scraper, rules, forwarder, net.listen)),
        *tsdb.routes(metrics, own.admin_api.with_flag(options.admin_api), clock),
        *federate.routes(metrics, clock, own.query.lookback_delta_ms, lambda: _external(standing)),
        *exemplars.routes(engine, metrics.exemplars),
        *remote_read.routes(metrics, own.remote_read, lambda: standing.loaded.prometheus.global_.external_labels),
        *ingest.routes(RemoteWrite(metrics, own.remote_write, metrics.exemplars)),
        *loki_push.routes(Push(logs, own.push, clock), own.push.body_bytes_max),
        *loki.routes(logs, log_engine, clock),
        *runbooks.routes(),
        *ruler.routes(log_rules, rules, lambda: apply_rules(standing.loaded)),
        *login.routes(accounts),
        *users.routes(accounts),
        *keys.routes(accounts),
        *audit.routes(AuditLog(state)),
    ]
    if has("rules"):
        machine_of_time = replay_http.TimeMachine(
            metrics,
            queries.traffic,
            clock,
            lambda: standing.loaded,
            lambda: [silence_of(row) for row in load_silences(state)],
            own.rules.replay_timeout_ms,
        )
        routes += replay_http.routes(machine_of_time)
    if has("notify"):
        routes += [
            *alertmanager.routes(desk),
            *inbox.routes(desk),
            *alert_history.routes(why),
            *on_call.routes(desk, why, url),
            *silences.routes(desk),
            *heartbeats.routes(beats, desk),
        ]
    if has("show"):
        routes += [
            *batch.routes(queries, loki.answer_logs(log_engine)),
            *dashboards.routes(KeptDashboards(state), shelf, clock),
            *serving.routes(),
        ]
    if has("gateway"):
        routes += gateway.routes(agents, clock, lambda: standing.ready)
    app = build_app(routes, door, net, audit=trail, clock=clock, ready=lambda: standing.ready)
    listener = Listener(app, net)
    chosen: dict[str, tuple[Part, ...]] = {
        "collect": (tailer, scraper),
        "rules": (forwarder, rules),
        "notify": (desk, beats),
    }
    working = [part for role in ("notify", "rules", "collect") if has(role) for part in chosen[role]]
    greeting: list[Part] = [] if options.auth_none else [Welcome(accounts, options.environ, url, options.data)]
    parts: list[Part] = [listener, *greeting, metrics, logs, OwnLog(logs), *working]

    def shut() -> None:
        state.close()

    machine = Machine(parts, routes, standing, apply, shut, clock)
    return machine


def _external(standing: Standing) -> dict[str, str]:
    return dict(standing.loaded.prometheus.global_.external_labels)


def _beside(loaded: Loaded, name: str) -> Path | None:
    """Give a file that the configuration names, relative to itself; None for none."""
    return (loaded.folder or Path()) / name if name else None


def _watch_without_http(scraper: Scraper, loaded: Loaded, listen: str) -> None:
    interval_ms = loaded.own.watch.interval_ms
    if loaded.watches_itself:
        scraper.add_local("watchkeeper", listen, exposition, interval_ms)
    if loaded.watches_host:
        scraper.add_local("node", platform.node(), node.collect, interval_ms)


def _status_sources(
    standing: Standing, options: Options, scraper: Scraper, rules: RuleRunner, forwarder: Forwarder, listen: str
) -> status.Sources:
    return status.Sources(
        notifications=lambda: shown.notifications(standing),
        targets=scraper.active_json,
        dropped=scraper.dropped_json,
        dropped_counts=scraper.dropped_counts,
        target_metadata=scraper.target_metadata,
        rules=rules.rules_json,
        alerts=rules.alerts_json,
        alertmanagers=forwarder.alertmanagers_json,
        config=lambda: shown.config_text(standing.loaded),
        flags=lambda: shown.flags(str(options.data), listen, standing.loaded),
        build=shown.build_info,
        runtime=lambda: shown.runtime_info(standing),
        features=lambda: features(standing.loaded, admin_api=options.admin_api),
    )
