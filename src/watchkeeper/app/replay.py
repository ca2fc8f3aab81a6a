"""The time machine: rules and routes of today (or of a draft) over the history that is stored.

Reads a data directory that no server has open, such as a snapshot of one that runs (`POST
/api/v1/admin/tsdb/snapshot`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.app.config import Loaded, load
from watchkeeper.app.settings import OwnSettings
from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import BadInput
from watchkeeper.notify.rehearsal import Rehearsed, Told, rehearse
from watchkeeper.notify.settings import AlertmanagerConfig, load_config
from watchkeeper.notify.silence import Silence
from watchkeeper.notify.silencing import silence_of
from watchkeeper.rules.files import RuleFile, check_rules
from watchkeeper.rules.past import Firing, History, replay_rules
from watchkeeper.rules.template import Surroundings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.silences import load_silences


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried on the past: rules and routes.

    interval_ms      of rule groups that name none
    external_labels  added to alerts
    """

    files: tuple[RuleFile, ...]
    routes: AlertmanagerConfig
    interval_ms: int = 60_000
    external_labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What would have happened.

    alerts  each firing of `history`, in its order, as notify was told of it
    """

    history: History
    alerts: tuple[Alert, ...]
    rehearsed: Rehearsed


def plan(where: Path | None, rules: Sequence[Path] = (), routes: Path | None = None) -> Plan:
    """Take rules and routes from a configuration folder, or rule files and an alertmanager.yml by name.

    raises  BadConfigs with every fault
    """
    loaded = load(where, quarantine=True) if where is not None or not rules or routes is None else Loaded(None)
    files = tuple(check_rules(rules)) if rules else loaded.rule_files
    shared = loaded.prometheus.global_
    labels = dict(shared.external_labels)
    return Plan(files, load_config(routes) if routes else loaded.alertmanager, shared.evaluation_interval, labels)


def replay(
    reader: MetricReader,
    tried: Plan,
    start_ms: int,
    end_ms: int,
    silences: Sequence[Silence] = (),
    progress: Callable[[float], None] = lambda _: None,
) -> Replayed:
    """Evaluate a plan's rules over stored history, and let what fires go through its routes.

    raises  BadInput when the range is empty
    """
    labels = tried.external_labels or {}
    history = replay_rules(
        reader,
        tried.files,
        start_ms,
        end_ms,
        interval_ms=tried.interval_ms,
        around=lambda engine: Surroundings(engine.ask, labels, ""),
        progress=progress,
    )
    alerts = tuple(_alert(firing, labels) for firing in history.firings)
    rehearsed = rehearse(tried.routes, alerts, end_ms, silences)
    rehearsed.told = [one for one in rehearsed.told if one.time_ms >= start_ms]
    return Replayed(history, alerts, rehearsed)


def _alert(firing: Firing, external_labels: dict[str, str]) -> Alert:
    labels = {**external_labels, **dict(firing.labels)}
    return Alert(labels, firing.annotations, firing.fired_ms, firing.resolved_ms, firing.fired_ms)


def over_directory(data: Path, work: Callable[[MetricReader, Sequence[Silence]], list[Replayed]]) -> list[Replayed]:
    """Open a data directory that no server has open, and do something with its metrics and silences.

    raises  Refused when a server has it; BadInput when there is none
    """
    if not (data / "metrics").is_dir():
        raise BadInput(f"cannot replay: got {data} without metrics/, want a data directory or a snapshot of one")
    silences: list[Silence] = []
    if (data / "state.db").is_file():
        state = StateStore(f"sqlite:///{(data / 'state.db').absolute()}")
        try:
            silences = [silence_of(row) for row in load_silences(state)]
        finally:
            state.close()

    async def opened() -> list[Replayed]:
        store = MetricDb(RealFiles(data), OwnSettings().metrics, SystemClock())
        await store.start()
        try:
            return await asyncio.to_thread(work, store, silences)
        finally:
            await store.stop()

    return asyncio.run(opened())


@dataclass(frozen=True, slots=True)
class Difference:
    """What two plans would have told differently.

    only_first, only_second  notifications that the other would not have sent to that receiver with those alerts
    """

    only_first: tuple[Told, ...]
    only_second: tuple[Told, ...]


def difference(first: Replayed, second: Replayed) -> Difference:
    """Compare by time, receiver and alerts; what is sent by both, in whatever group, is no difference."""

    def key(told: Told) -> tuple[object, ...]:
        alerts = tuple(sorted({one.fingerprint for one in (*told.firing, *told.resolved)}))
        return told.time_ms, told.receiver, told.way, bool(told.firing), alerts

    ours, theirs = (Counter(map(key, one.rehearsed.told)) for one in (first, second))
    return Difference(
        tuple(one for one in first.rehearsed.told if key(one) not in theirs),
        tuple(one for one in second.rehearsed.told if key(one) not in ours),
    )
