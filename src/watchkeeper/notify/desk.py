"""The desk: takes alerts, silences and configurations in; sends notifications out."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import NotDelivered, Refused
from watchkeeper.model.labels import Labels
from watchkeeper.model.metrics import counter
from watchkeeper.net.client import Client
from watchkeeper.notify.acks import AckBook
from watchkeeper.notify.alert_book import AlertBook, Incoming
from watchkeeper.notify.batch import Batch
from watchkeeper.notify.cluster import Cluster
from watchkeeper.notify.config_metrics import note_config
from watchkeeper.notify.counts import processing_s, serve_counts
from watchkeeper.notify.deliver import Deliverer
from watchkeeper.notify.escalate import Escalator
from watchkeeper.notify.group import Flush, Groups
from watchkeeper.notify.inhibit import Inhibitor
from watchkeeper.notify.ledger import Ledger, LedgerSettings
from watchkeeper.notify.log import NotificationLog
from watchkeeper.notify.matcher import Matchers
from watchkeeper.notify.mute import MuteTimes
from watchkeeper.notify.notification import Means
from watchkeeper.notify.oncall_settings import OnCallSettings
from watchkeeper.notify.recurring import RecurringBook
from watchkeeper.notify.rehearse import Trial, rehearse
from watchkeeper.notify.render import shown_config
from watchkeeper.notify.route import Route, build_routes
from watchkeeper.notify.settings import DEFAULT_CONFIG, AlertmanagerConfig
from watchkeeper.notify.showing import Showing
from watchkeeper.notify.shown import AlertFilter, ShownAlert, ShownGroup
from watchkeeper.notify.sieve import Sieve
from watchkeeper.notify.silence import Silence
from watchkeeper.notify.silencing import Silencing
from watchkeeper.notify.template import Templates
from watchkeeper.notify.texts import NotificationTexts
from watchkeeper.store.state.alerts import drop_alerts, load_alerts, save_alerts
from watchkeeper.store.state.cluster import News
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.inbox import InboxMessage, NewMessage, add_messages, load_messages
from watchkeeper.store.state.ledger import find_tellings
from watchkeeper.store.state.notifications import drop_notifications, load_notifications, save_notifications

log = structlog.get_logger(__name__)

_MAINTENANCE_S = 60.0
_STOP_S = 3.0
_REFRESH_MS = 30_000  # how far an alert's end moves until others of a cluster are told
_ESCALATION_LOOKS_BACK_MS = 7 * 86_400_000

_groups_refused = counter(
    "alertmanager_dispatcher_aggregation_group_limit_reached",
    "Number of times when dispatcher failed to create new aggregation group due to limit.",
)
_alerts_refused = counter("watchkeeper_alerts_refused", "Alerts refused because as many as allowed are known")
_unsaved = counter("watchkeeper_alerts_not_kept", "Times that alerts were taken on but could not be written")
_broken_flushes = counter("watchkeeper_notify_flushes_broken", "Flushes that ended in an unforeseen error")


class DeskSettings(Settings):
    """Limits of the desk."""

    alerts_max: int = setting(100_000, "A new alert beyond so many is refused.", unit="alerts")
    groups_max: int = setting(50_000, "An alert beyond so many groups makes no new one.", unit="groups")
    silences_max: int = setting(10_000, "A new silence beyond so many is refused.", unit="silences")
    silence_bytes_max: int = setting(65_536, "A larger silence is refused.", unit="bytes")
    silence_retention_ms: int = setting(432_000_000, "Silences are kept so long after their end.", unit="ms")
    inbox_messages_max: int = setting(1000, "The inbox keeps so many messages.", unit="messages")


class Desk:
    """Takes alerts, silences and configurations in; sends notifications out.

    What it answers well to is on the disk. After a restart, also after kill -9, alerts, silences and the notification
    log are as before, and nothing is sent again before its repeat interval.

    external_url  how people reach watchkeeper, for payloads; without a final slash
    spread        seeded in tests
    ledger        writes down each alert's way; by default one of its own
    cluster       processes that share the state store, if any do
    """

    def __init__(
        self,
        settings: DeskSettings,
        state: StateStore,
        clock: Clock,
        client: Client,
        external_url: str,
        spread: random.Random | None = None,
        ledger: Ledger | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self._settings, self._state, self._clock = settings, state, clock
        self._external_url = external_url.rstrip("/")
        self._spread = spread or random.Random()  # noqa: S311 — spreads retries, keeps no secret
        self._means = Means(client, self._keep, partial(NotificationTexts, Templates(())))
        self._inbox = Batch[NewMessage](lambda batch: add_messages(state, batch, settings.inbox_messages_max))
        self._cluster = cluster
        self._book = AlertBook(None if cluster is None else _REFRESH_MS)
        self._silencing = Silencing(state, clock, settings.silences_max, settings.silence_bytes_max)
        self._silences = self._silencing.book
        self._ledger = ledger or Ledger(LedgerSettings(), state, clock)
        self._on_call = OnCallSettings()
        self.acks = AckBook(state, clock, self._on_call.acks_max)
        self._escalator = Escalator((), self.acks, self._ledger)
        self.recurring = RecurringBook(state, clock, self._silencing, self._on_call.recurring_silences_max)
        self._log = NotificationLog((), partial(save_notifications, state))
        self._taking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._started_ms = clock.now_ms()
        self._maintained_s = clock.monotonic_s()
        self._looked_s = clock.monotonic_s()
        self._loaded = False
        self._configure(DEFAULT_CONFIG)

    # ---- life ----

    async def start(self) -> None:
        """Take over what the state store has and begin to send."""
        await self.load()
        await self.recurring.make_due()
        self._ledger.start()
        if self._cluster is not None:
            await self._cluster.start(self._hear)
        self._runner = asyncio.create_task(self._run(), name="notify")

    async def load(self) -> None:
        """Take over what the state store has, without sending anything."""
        stored, entries = await asyncio.to_thread(lambda: (load_alerts(self._state), load_notifications(self._state)))
        silences = await self._silencing.load()
        await self.acks.load()
        await self.recurring.load()
        if self._on_call.escalations:
            since_ms = self._clock.now_ms() - _ESCALATION_LOOKS_BACK_MS
            self._escalator.restore(await asyncio.to_thread(find_tellings, self._state, since_ms))
        self._log = NotificationLog(entries, partial(save_notifications, self._state))
        self._book.restore(stored, self._clock.now_ms(), self._config.global_.resolve_timeout)
        self._ledger.restore(self._book, self._clock.now_ms())
        self._loaded = True
        self._configure(self._config)
        serve_counts(self._clock, self._book, self._silences, lambda: (self._groups, self._showing))
        log.info("desk_loaded", alerts=len(stored), silences=silences, log_entries=len(entries))

    async def stop(self) -> None:
        """Let what is being sent finish for a moment, then let go of it."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        if tasks := list(self._sending.values()):
            await asyncio.wait(tasks, timeout=_STOP_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._cluster is not None:
            await self._cluster.stop()
        await self._ledger.stop()

    @property
    def is_ready(self) -> bool:
        """Whether what was kept has been taken over."""
        return self._loaded

    def apply(self, config: AlertmanagerConfig, on_call: OnCallSettings | None = None) -> None:
        """Use another configuration from now on; all alerts are grouped anew, and nothing is sent twice."""
        self._on_call = on_call or self._on_call
        self._configure(config)
        self._wake.set()

    def _configure(self, config: AlertmanagerConfig) -> None:
        assert config.route is not None  # read_config saw to it
        templates = Templates.load(config.templates)
        self._config = config
        note_config(config)
        self._route = build_routes(config.route, self._on_call.schedules())
        self._inhibitor = Inhibitor(config.inhibit_rules)
        mute_times = MuteTimes((*config.mute_time_intervals, *config.time_intervals))
        self._sieve = Sieve(self._inhibitor, mute_times, self._silences)
        self._groups = Groups(self._route, self._settings.groups_max)
        self._showing = Showing(
            self._book, self._route, self._groups, self._inhibitor, self._silences, self._sieve, self._clock
        )
        self._deliverer = Deliverer(
            config.receivers,
            self._sieve,
            self._log,
            self._ledger,
            self.acks,
            self._escalator,
            replace(self._means, texts=partial(NotificationTexts, templates)),
            self._clock,
            self._external_url,
            self._spread,
            None if self._cluster is None else self._cluster.turns,
        )
        self._escalator.use(self._on_call.escalations, self._book, self._route)
        self._dispatch(self._book)

    # ---- alerts in ----

    async def receive(self, alerts: Sequence[Alert]) -> None:
        """Take alerts from rules. They count even when they cannot be written: a full disk is to be heard of."""
        try:
            await self.take(Incoming(alert) for alert in alerts)
        except Refused as error:
            log.error("alerts_not_kept", alerts=len(alerts), error=str(error))  # noqa: TRY400 — no trace wanted

    async def take(self, incoming: Iterable[Incoming]) -> None:
        """Take alerts; what is new about them is on the disk when this returns.

        raises  Refused when there are too many, or they could not be written (they count until a restart, then)
        """
        async with self._taking:
            merged = self._book.merged(incoming)
            room = self._settings.alerts_max - len(self._book)
            new = sum(one.alert.fingerprint not in self._book for one in merged)
            if new > room:
                merged = self._within(merged, room)
            now_ms = self._clock.now_ms()
            rows = self._book.unsaved((one.alert for one in merged), now_ms)
            self._book.take(merged)
            for one in merged:
                self._ledger.took(one.alert, now_ms)
            self._dispatch(one.alert for one in merged)
            await self._save(rows)
        if new > room:
            raise Refused(f"cannot take all alerts: got {new} new ones, want at most {max(room, 0)} more")

    def _within(self, merged: list[Incoming], room: int) -> list[Incoming]:
        kept, new = [], 0
        for one in merged:
            is_new = one.alert.fingerprint not in self._book
            new += is_new
            if not is_new or new <= room:
                kept.append(one)
        _alerts_refused.inc(len(merged) - len(kept))
        return kept

    def _hear(self, news: News) -> None:
        """Take over what other processes of the cluster have written."""
        self._silencing.heard(news.silences)
        self._log.heard(news.entries)
        if news.acks is not None:
            self.acks.heard(news.acks)
        if alerts := self._book.heard(news.alerts):
            self._ledger.restore(alerts, self._clock.now_ms())
            self._dispatch(alerts)

    def cluster_status(self) -> dict[str, Any]:
        """Give what Alertmanager's API says of its cluster."""
        return {"peers": [], "status": "disabled"} if self._cluster is None else self._cluster.status()

    def _dispatch(self, alerts: Iterable[Alert]) -> None:
        at_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        refused = 0
        for alert in alerts:
            self._inhibitor.learn(alert)
            raised = self._escalator.routes_of(alert.fingerprint)
            with processing_s.time():
                refused += self._groups.insert(alert, at_s, now_ms, raised)
        if refused:
            _groups_refused.inc(refused)
            log.error("groups_at_limit", groups=len(self._groups), refused=refused)
        self._wake.set()

    async def _save(self, rows: Sequence[Alert]) -> None:
        if not rows:
            return
        try:
            await asyncio.to_thread(save_alerts, self._state, rows)
        except (SQLAlchemyError, OSError) as error:
            _unsaved.inc()
            raise Refused(f"cannot write alerts: {_short(error)}") from None
        self._book.saved(rows)

    # ---- notifications out ----

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self.tick()
                await self._maintain()
                self._looked_s = self._clock.monotonic_s()
            except Exception:
                log.exception("notify_round_failed")
                await asyncio.sleep(1)
            now_s = self._clock.monotonic_s()
            next_s = min(self._maintained_s + _MAINTENANCE_S, self._next_due_s(now_s))
            try:
                async with asyncio.timeout(max(next_s - now_s, 0)):  # wait_for may swallow a cancellation
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _next_due_s(self, now_s: float) -> float:
        due_s, raise_ms = self._groups.next_due_s(), self._escalator.next_due_ms()
        flush_s = now_s + _MAINTENANCE_S if due_s is None else due_s
        return flush_s if raise_ms is None else min(flush_s, now_s + (raise_ms - self._clock.now_ms()) / 1000)

    def tick(self) -> list[asyncio.Task[None]]:
        """Begin to deliver every group that is due now; gives the deliveries."""
        groups, deliverer = self._groups, self._deliverer
        if raised := self._escalator.due(self._clock.now_ms(), self._book.get):
            self._dispatch(raised)
        return [
            asyncio.create_task(self._flush(flush, groups, deliverer))
            for flush in groups.due(self._clock.monotonic_s(), self._clock.now_ms())
        ]

    async def _flush(self, flush: Flush, groups: Groups, deliverer: Deliverer) -> None:
        key = flush.group.key
        while (other := self._sending.get(key)) is not None:  # of the configuration before: wait for its log entry
            await asyncio.wait([other])
        task = asyncio.current_task()
        assert task is not None
        self._sending[key] = task
        delivered = False
        try:
            await self._save_ends(flush)
            await self._end_acks(flush)
            delivered = await deliverer.deliver(flush)
        except Exception:
            _broken_flushes.inc()
            log.exception("flush_broke", group_key=key)
        finally:
            del self._sending[key]
            groups.done(flush, delivered=delivered)
            self._wake.set()

    async def _save_ends(self, flush: Flush) -> None:
        """Write which alerts are over before it is told, so that a crash does not bring them back."""
        rows = self._book.unsaved(flush.resolved, flush.now_ms)
        try:
            await self._save(rows)
        except Refused as error:
            log.error("alerts_not_kept", alerts=len(rows), error=str(error))  # noqa: TRY400 — no trace wanted

    async def _end_acks(self, flush: Flush) -> None:
        """Let acknowledgements end with their alerts, so that one that fires again is heard again."""
        try:
            await self.acks.end(one.fingerprint for one in flush.resolved)
        except Refused as error:
            log.error("acknowledgements_not_ended", error=str(error))  # noqa: TRY400 — no trace wanted

    async def _keep(self, receiver: str, status: str, message: str) -> None:
        try:
            await self._inbox.write(NewMessage(self._clock.now_ms(), receiver, status, message))
        except (SQLAlchemyError, OSError) as error:
            raise NotDelivered(f"cannot write to the inbox: {_short(error)}", permanent=False) from None

    async def _maintain(self) -> None:
        if self._clock.monotonic_s() < self._maintained_s + _MAINTENANCE_S:
            return
        self._maintained_s = self._clock.monotonic_s()
        await self.maintain()

    async def maintain(self) -> None:
        """Let go of what is over: alerts that were told of, silences past their retention, log entries."""
        now_ms = self._clock.now_ms()
        self._inhibitor.forget(now_ms)
        async with self._taking:
            raised = self._escalator.routes_of
            ended = [one for one in self._book if one.resolved(now_ms)]
            over = [one for one in ended if not self._groups.holds(one, raised(one.fingerprint))]
            rows = self._book.forget(one.fingerprint for one in over)
            for alert in over:
                self._silences.forget_alert(alert.fingerprint)
                self._ledger.forget(alert)
            await asyncio.to_thread(self._drop, rows, now_ms)
        gone = {one.fingerprint for one in over}
        self._escalator.forget(gone)
        await self.acks.forget(gone)
        self._ledger.forget_places({one.fingerprint for one in self._book})
        if self._cluster is not None:
            await self.recurring.load()
            await self._cluster.maintain()
        await self.recurring.make_due()
        await self._silencing.forget(now_ms - self._settings.silence_retention_ms)
        await self._log.maintain(now_ms)
        await self._ledger.maintain(now_ms)

    def _drop(self, alerts: Sequence[int], now_ms: int) -> None:
        if alerts:
            drop_alerts(self._state, alerts)
        drop_notifications(self._state, now_ms)

    # ---- silences ----

    async def put_silence(self, wanted: Silence) -> str:
        """Make or change a silence, and give its id; on the disk when it returns.

        raises  UnknownSilence; BadInput when it is not valid; Refused when it could not be written
        """
        return await self._silencing.put(wanted)

    async def end_silence(self, silence_id: str) -> None:
        """End a silence now; one that is over stays as it is.

        raises  UnknownSilence; Refused when it could not be written
        """
        await self._silencing.end(silence_id)

    def silence(self, silence_id: str) -> Silence:
        """Give one silence.

        raises  UnknownSilence
        """
        return self._silences.get(silence_id)

    def silences(self, matchers: Matchers = (), created_by: Sequence[str] = ()) -> list[Silence]:
        """Give the silences that have all of these matchers among their own, in the API's order."""
        return self._silencing.find(matchers, created_by)

    async def rehearse(self, receiver: str, who: str) -> Sequence[Trial] | None:
        """Send a test alert through every way of a receiver; None when there is no such receiver."""
        found = next((one for one in self._config.receivers if one.name == receiver), None)
        if found is None:
            return None
        return await rehearse(found, self._deliverer.means, who, self._clock.now_ms(), self._external_url)

    @property
    def is_sending(self) -> bool:
        """Whether its loop runs and has looked after its groups within the last minutes."""
        runs = self._runner is not None and not self._runner.done()
        return runs and self._clock.monotonic_s() - self._looked_s < 3 * _MAINTENANCE_S

    # ---- what is there ----

    def alerts(self, wanted: AlertFilter) -> list[ShownAlert]:
        """Give the alerts that are not over and pass a filter, by fingerprint."""
        return self._showing.alerts(wanted)

    def groups(self, wanted: AlertFilter) -> list[ShownGroup]:
        """Give the groups that have alerts which pass a filter, in the API's order."""
        return self._showing.groups(wanted)

    def known(self, alert_fingerprint: int) -> ShownAlert | None:
        """Give what is known of an alert, over or not, with what mutes it and who receives it."""
        return self._showing.known(alert_fingerprint)

    def ways(self, labels: Labels) -> list[Route]:
        """Give the routes that an alert with these labels takes."""
        return self._route.match(labels)

    def muting(self, labels: Labels) -> str:
        """Say which time intervals mute the groups of an alert with these labels; "" when a route lets it through."""
        return self._showing.muting(labels)

    async def inbox(self, limit: int) -> list[InboxMessage]:
        """Give the newest messages of the inbox, newest first."""
        return await asyncio.to_thread(load_messages, self._state, limit)

    @property
    def config(self) -> AlertmanagerConfig:
        """The configuration in use."""
        return self._config

    def config_text(self) -> str:
        """Give the configuration in use as YAML: every default, no secret."""
        return shown_config(self._config)

    @property
    def ack_lasts_ms(self) -> int:
        """How long an acknowledgement lasts that does not say."""
        return self._on_call.ack_lasts

    @property
    def silence_rules(self) -> OnCallSettings:
        """What is said about silences: who owns what, from when on to ask."""
        return self._on_call

    @property
    def started_ms(self) -> int:
        """When it was made, Unix milliseconds."""
        return self._started_ms

    def now_ms(self) -> int:
        """Give the desk's time, Unix milliseconds."""
        return self._clock.now_ms()


def _short(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).split("\n", 1)[0][:200]
