"""RuleRunner: evaluates every group at its interval, and keeps on through reloads and restarts."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import AlertSample, Ask, MetricReader, MetricWriter, SendAlerts
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.rules import metrics, quarantine, restore
from watchkeeper.rules.alerting import AlertingRule
from watchkeeper.rules.files import GroupConfig, RuleFile, SetAside
from watchkeeper.rules.groups import Group, GroupContext, end_series
from watchkeeper.rules.language import LOGQL, PROMQL, Language
from watchkeeper.rules.order import next_evaluation
from watchkeeper.rules.settings import RuleSettings
from watchkeeper.rules.status import Params, alerts_json, rules_json
from watchkeeper.rules.template import Surroundings

log = structlog.get_logger(__name__)
_STOP_WITHIN_S = 3.0


class RuleRunner:
    """A Part. Groups run side by side, each as a task of its own; all methods are called on the event loop's thread.

    ask           evaluates an expression; called in worker threads
    writer        takes the series of recording rules, ALERTS and ALERTS_FOR_STATE
    reader        gives ALERTS_FOR_STATE back after a restart
    send          hands over alerts that fire or ended
    external_url  where this server is reached; begins the links in alerts
    ask_logs      evaluates the expressions of rules on logs; such rules fail where there is none
    """

    def __init__(
        self,
        ask: Ask,
        writer: MetricWriter,
        reader: MetricReader,
        send: SendAlerts,
        clock: Clock,
        *,
        external_url: str = "",
        settings: RuleSettings | None = None,
        ask_logs: Ask | None = None,
    ) -> None:
        self._ask_logs = ask_logs or _no_logs
        self._ask, self._writer, self._reader, self._send, self._clock = ask, writer, reader, send, clock
        self._external_url = external_url.rstrip("/")
        self._settings = settings or RuleSettings()
        self._groups: dict[str, Group] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Event] = {}
        self._threads = ThreadPoolExecutor(self._settings.concurrent_evaluations, thread_name_prefix="rules")
        self._memory: restore.Memory = {}
        self._set_aside: dict[str, tuple[SetAside, ...]] = {}
        self._started = False
        self._applying = asyncio.Lock()

    async def start(self) -> None:
        """Look up the alerts that were there before, and begin to evaluate."""
        self._started = True
        await self._remember()
        self._resume()
        for key in self._groups:
            self._begin(key)

    async def stop(self) -> None:
        """Let the evaluations under way end, for three seconds at most."""
        self._started = False
        await self._end(set(self._tasks))
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def apply(
        self,
        files: Sequence[RuleFile],
        *,
        interval_ms: int = 60_000,
        query_offset_ms: int = 0,
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        """Evaluate these files' groups from now on; groups that stay the same go on, rules that stay keep their state.

        In the place of rules that a file could not give, those that ran before go on.

        interval_ms      of groups that name none (global.evaluation_interval)
        query_offset_ms  of groups that name none (global.rule_query_offset)
        external_labels  added to the alerts that are sent
        """
        async with self._applying:
            await self._apply(files, interval_ms, query_offset_ms, external_labels or {})

    async def _apply(
        self, files: Sequence[RuleFile], interval_ms: int, query_offset_ms: int, external_labels: Mapping[str, str]
    ) -> None:
        files = [quarantine.mended(file, self._configs(file.path)) for file in files]
        self._note_set_aside(files)
        contexts = {
            language: GroupContext(
                Surroundings(ask, dict(external_labels), self._external_url),
                self._writer,
                self._send,
                self._clock,
                self._threads,
                self._settings,
                interval_ms,
                query_offset_ms,
            )
            for language, ask in ((PROMQL, self._ask), (LOGQL, self._ask_logs))
        }
        wanted = {f"{file.path};{config.name}": (file, config) for file in files for config in file.groups}
        kept = {
            key
            for key, group in self._groups.items()
            if key in wanted
            and group.same_as(wanted[key][1], contexts[wanted[key][0].language], wanted[key][0].language)
        }
        await self._end(set(self._groups) - kept)
        before, self._groups = self._groups, {}
        for key, (file, config) in wanted.items():
            language = file.language
            group = before[key] if key in kept else Group(file.path, config, contexts[language], language)
            if key in before and key not in kept:
                group.continue_from(before[key])
            self._groups[key] = group
        self._forget(before)
        self._resume()
        if self._started:
            for key in wanted.keys() - kept:
                self._begin(key)

    def _configs(self, path: str) -> dict[str, GroupConfig]:
        """Give the groups of a file that have been running, by name."""
        return {group.name: group.config for group in self._groups.values() if group.file == path}

    def _note_set_aside(self, files: Sequence[RuleFile]) -> None:
        for path in self._set_aside:
            metrics.SET_ASIDE.labels(path).set(0)
        self._set_aside = {file.path: file.set_aside for file in files if file.set_aside}
        for path, left_out in self._set_aside.items():
            metrics.SET_ASIDE.labels(path).set(len(left_out))
            for one in left_out:
                log.error("rule_quarantined", file=path, group=one.group, rule=one.name, reason=one.reason)

    def _forget(self, before: Mapping[str, Group]) -> None:
        """End the series of what is gone."""
        now_ms = self._clock.now_ms()
        for key in before.keys() - self._groups.keys():
            metrics.forget_group(key)
        written = {stage.source for group in self._groups.values() for stage in group.stages}
        old = {stage.source for group in before.values() for stage in group.stages}
        for source in sorted(old - written):
            end_series(self._writer, source, now_ms)

    async def _remember(self) -> None:
        now_ms = self._clock.now_ms()
        try:
            self._memory = await asyncio.to_thread(
                restore.remember, self._reader, now_ms, self._settings.for_outage_tolerance_ms
            )
        except WatchkeeperError as error:
            log.warning("alert_state_not_restored", error=str(error))
        if self._memory:
            log.info("alert_state_found", alerts=len(self._memory))

    def _resume(self) -> None:
        """Hand what was found to the first groups there are, those that were there before the restart."""
        if self._memory and self._groups:
            by_name = restore.by_alert_name(self._memory)
            for group in self._groups.values():
                group.remember(by_name)
            self._memory = {}

    # evaluation

    async def evaluate_all(self, at_ms: int) -> None:
        """Evaluate every group once, as of a moment; for tests and for rule unit tests, which hold the clock."""
        for group in list(self._groups.values()):
            await group.evaluate(at_ms)

    def _begin(self, key: str) -> None:
        leaving = asyncio.Event()
        self._leaving[key] = leaving
        self._tasks[key] = asyncio.create_task(self._run(self._groups[key], leaving), name=f"rules {key}")

    async def _end(self, keys: set[str]) -> None:
        """Stop tasks; those that do not end by themselves in time are cancelled."""
        tasks = [task for key, task in self._tasks.items() if key in keys]
        for key in keys & self._tasks.keys():
            self._leaving.pop(key).set()
            del self._tasks[key]
        if not tasks:
            return
        _, slow = await asyncio.wait(tasks, timeout=_STOP_WITHIN_S)
        for task in slow:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, group: Group, leaving: asyncio.Event) -> None:
        due_ms = group.due(self._clock.now_ms())
        while not await self._waited_for(leaving, (due_ms - self._clock.now_ms()) / 1000):
            try:
                await group.evaluate(due_ms)
            except Exception:  # a fault of ours in one evaluation must not end the group
                log.exception("group_evaluation_crashed", group=group.key)
            due_ms, missed = next_evaluation(due_ms, self._clock.now_ms(), group.interval_ms, group.spread_ms)
            if missed:
                metrics.count_missed(group.key, missed)
                log.warning("group_evaluations_missed", group=group.key, count=missed)

    async def _waited_for(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until an event or for a while; True when the event came."""
        try:
            await asyncio.wait_for(event.wait(), max(0.0, seconds))
        except TimeoutError:
            return event.is_set()
        return True

    # what is shown

    def groups(self) -> tuple[Group, ...]:
        """The groups, in the files' order."""
        return tuple(self._groups.values())

    def counts(self) -> dict[str, int]:
        """Give how many alerts are firing and pending."""
        rules = [rule for group in self.groups() for rule in group.rules if isinstance(rule, AlertingRule)]
        states = [alert.state.word for rule in rules for alert in rule.shown()]
        return {"firing": states.count("firing"), "pending": states.count("pending")}

    def rules_json(self, params: Params = (), language: Language | None = None) -> dict[str, Any]:
        """Give the data of /api/v1/rules.

        language  only groups of this language

        params  the query string's, in order: type, rule_name[], rule_group[], file[], match[], exclude_alerts,
                group_limit, group_next_token
        raises  BadInput in Prometheus' words when one of them cannot be used
        """
        groups = [one for one in self.groups() if language is None or one.language is language]
        return rules_json(groups, params, self._set_aside if language is None else {})

    def alerts_json(self, language: Language | None = None) -> dict[str, Any]:
        """Give the data of /api/v1/alerts; of one language's rules alone, where one is given."""
        return alerts_json([one for one in self.groups() if language is None or one.language is language])


def _no_logs(_expr: str, _time_ms: int) -> list[AlertSample]:
    raise BadInput("cannot evaluate a rule on logs: got no log store, want one")
