"""The scraper: every pool, every target, started and stopped as configuration and discovery say."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from watchkeeper.collect.fetch import Fetch, Fetched, HttpFetch, LocalFetch, local_fetch
from watchkeeper.collect.pool import Found, Pool
from watchkeeper.collect.pool_metrics import count_metadata, pool_began, pool_ended, pool_synced
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import GlobalConfig, ScrapeConfig, ScrapeSettings, complete
from watchkeeper.collect.target_loop import Health, TargetLoop
from watchkeeper.collect.targets import Target, global_url
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import ExemplarWriter, MetricWriter
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.model.labels import Labels, fingerprint

log = structlog.get_logger(__name__)

_LOOK_AT_FILES_S = 5.0
_SYNC_S = 1.0


class Scraper:
    """Scrapes all targets. A Part; `apply` and `add_local` may be called before and after it starts.

    writer  gets one row a scrape, and is asked at least once a second to put what it has on the disk
    root    what relative paths of file_sd_configs start from
    host    this machine's name, shown instead of localhost in globalUrl
    """

    def __init__(
        self,
        writer: MetricWriter,
        clock: Clock,
        settings: ScrapeSettings | None = None,
        *,
        root: Path = Path(),
        host: str = "",
        exemplars: ExemplarWriter | None = None,
    ) -> None:
        self._writer, self._clock, self._settings = writer, clock, settings or ScrapeSettings()
        self._exemplars = exemplars
        self._root, self._host = root, host or socket.gethostname()
        self._pools: dict[str, Pool] = {}
        self._found: dict[str, Found] = {}
        self._loops: dict[tuple[str, int], TargetLoop] = {}
        self._local: dict[tuple[str, int], tuple[Target, Fetch, ScrapeConfig]] = {}
        self._fetches: dict[str, HttpFetch] = {}
        self._running = False
        self._turn = asyncio.Semaphore(self._settings.scrapes_at_once_max)
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Begin to scrape."""
        self._running = True
        async with self._changing:
            await self._settle(set(self._pools))
        self._tasks = [asyncio.create_task(self._watch_files()), asyncio.create_task(self._sync())]

    async def stop(self) -> None:
        """End all scrapes. Series stay as they are: a restart is not the end of a target."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(loop.stop(gone=False) for loop in self._loops.values()), return_exceptions=True)
        self._loops.clear()
        self._running = False
        for fetch in self._fetches.values():
            fetch.close()
        self._fetches.clear()

    async def apply(self, defaults: GlobalConfig, configs: Sequence[ScrapeConfig], root: Path | None = None) -> None:
        """Take a new configuration; targets that it does not change are scraped on without a break.

        raises  BadInput when it cannot work: then nothing has changed
        """
        completed = [complete(config, defaults) for config in configs]
        names = [config.job_name for config in completed]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f'found multiple scrape configs with job name "{twice}"')
        async with self._changing:
            self._root = root or self._root
            changed = set(self._pools.keys() - set(names))
            for config in completed:
                old = self._pools.get(config.job_name)
                if old is None or old.config != config or old.root != self._root:
                    pool_began(config.job_name, reloaded=old is not None)
                    self._pools[config.job_name] = Pool(config, self._root)
                    changed.add(config.job_name)
            for name in self._pools.keys() - set(names):
                del self._pools[name]
                pool_ended(name)
            if self._running:
                await self._settle(changed)

    def add_local(self, job: str, instance: str, fetch: LocalFetch, interval_ms: int) -> None:
        """Add a target inside this process.

        fetch  gives text exposition format; one that is not async runs in a thread
        """
        labels = {"instance": instance, "job": job}
        target = Target(
            job,
            {"__address__": instance, "job": job},
            labels,
            f"local://{instance}/{job}",
            interval_ms,
            interval_ms,
            fingerprint(labels),
        )
        config = ScrapeConfig(job_name=job, scrape_interval=interval_ms, scrape_timeout=interval_ms)
        self._local[job, target.number] = target, local_fetch(fetch), config
        if self._running:
            self._begin(target, config, Relabel(()), self._local[job, target.number][1])

    def targets(self) -> list[tuple[Target, Health]]:
        """Give every target that is scraped, and how it fares."""
        return [(loop.target, loop.health) for loop in self._loops.values()]

    def active_json(self) -> list[dict[str, Any]]:
        """Give activeTargets of /api/v1/targets."""
        ordered = sorted(self.targets(), key=lambda pair: (pair[0].pool, pair[0].url))
        shown = [self._shown(target, health) for target, health in ordered]
        for pool, found in self._found.items():
            shown += [self._shown(_unusable(pool, labels), Health("down", error)) for labels, error in found.refused]
        return shown

    def target_metadata(self) -> list[tuple[Labels, Mapping[str, MetricMetadata]]]:
        """Give the labels of every target, and what it said about its metric families."""
        return [(dict(loop.target.labels), loop.metadata) for loop in self._loops.values()]

    def dropped_json(self) -> list[dict[str, Any]]:
        """Give droppedTargets of /api/v1/targets, at most keep_dropped_targets a pool."""
        shown = []
        for pool, found in sorted(self._found.items()):
            limit = self._pools[pool].config.keep_dropped_targets if pool in self._pools else 0
            kept = found.dropped[:limit] if limit else found.dropped
            shown += [{"discoveredLabels": dict(labels), "scrapePool": pool} for labels in kept]
        return shown

    def dropped_counts(self) -> dict[str, int]:
        """Give droppedTargetCounts of /api/v1/targets."""
        return {pool: len(found.dropped) for pool, found in sorted(self._found.items())}

    def pool_names(self) -> list[str]:
        """Give scrapePools of /api/v1/scrape_pools."""
        return sorted({*self._pools, *(job for job, _ in self._local)})

    def _shown(self, target: Target, health: Health) -> dict[str, Any]:
        return {
            "discoveredLabels": dict(target.discovered),
            "labels": dict(target.labels),
            "scrapePool": target.pool,
            "scrapeUrl": target.url,
            "globalUrl": global_url(target.url, self._host),
            "lastError": health.error,
            "lastScrape": _rfc3339(health.scraped_at_ms),
            "lastScrapeDuration": health.duration_s,
            "health": health.state,
            "scrapeInterval": format_duration(target.interval_ms) if target.interval_ms else "",
            "scrapeTimeout": format_duration(target.timeout_ms) if target.timeout_ms else "",
        }

    async def _settle(self, changed: set[str]) -> None:
        """Make the running loops those that the pools and discoveries ask for; `changed` pools have new settings."""
        for pool in [self._pools[name] for name in changed if name in self._pools]:
            await asyncio.to_thread(pool.finder.refresh)
        self._found = {name: self._sought(pool) for name, pool in self._pools.items()}
        wanted = {(name, number) for name, found in self._found.items() for number in found.targets}
        ended = [key for key in self._loops if key not in wanted and key not in self._local]
        await asyncio.gather(*(self._end(key) for key in ended))
        for name in self._fetches.keys() - self._pools.keys():
            self._close(name)
        for name, found in self._found.items():
            self._settle_pool(self._pools[name], found, fresh=name in changed)
        for key, (target, fetch, config) in self._local.items():
            if key not in self._loops:
                self._begin(target, config, Relabel(()), fetch)

    def _sought(self, pool: Pool) -> Found:
        began_s, name = self._clock.monotonic_s(), pool.config.job_name
        found = pool.find()
        discovered = len(found.targets) + len(found.dropped) + len(found.refused)
        took_s, limit = self._clock.monotonic_s() - began_s, pool.config.target_limit or 0
        pool_synced(name, took_s, len(found.targets), discovered, len(found.refused), limit)
        count_metadata(name, lambda: sum(len(loop.metadata) for (job, _), loop in self._loops.items() if job == name))
        return found

    async def _end(self, key: tuple[str, int]) -> None:
        loop = self._loops.pop(key)
        await loop.stop(gone=True)
        if key[0] in self._fetches:
            self._fetches[key[0]].forget(loop.target)

    def _settle_pool(self, pool: Pool, found: Found, *, fresh: bool) -> None:
        name = pool.config.job_name
        new = [target for number, target in found.targets.items() if (name, number) not in self._loops]
        if not fresh and not new and not found.error:
            return
        relabel = Relabel.of(pool.config.metric_relabel_configs)
        fetch: Fetch | None = self._fetches.get(name)
        if fresh or fetch is None or found.error:
            fetch = self._fetch_for(pool.config, found.error)
        for number, target in found.targets.items():
            loop = self._loops.get((name, number))
            if loop is None:
                self._begin(target, pool.config, relabel, fetch)
            elif fresh or found.error:
                loop.use(pool.config, relabel, fetch)

    def _fetch_for(self, config: ScrapeConfig, error: str) -> Fetch:
        try:
            fetch = HttpFetch(config, self._settings)
        except BadInput as fault:
            log.warning("scrape_config_unusable", pool=config.job_name, error=str(fault))
            return _always_failing(str(fault))
        self._close(config.job_name)
        self._fetches[config.job_name] = fetch
        return _always_failing(error) if error else fetch

    def _close(self, pool: str) -> None:
        fetch = self._fetches.pop(pool, None)
        if fetch is not None:
            fetch.close()

    def _begin(self, target: Target, config: ScrapeConfig, relabel: Relabel, fetch: Fetch) -> None:
        loop = TargetLoop(target, self._writer, self._clock, self._settings, self._turn, self._exemplars)
        loop.use(config, relabel, fetch)
        self._loops[target.pool, target.number] = loop
        loop.start()

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_FILES_S)
            try:
                async with self._changing:
                    pools = [pool for pool in self._pools.values() if pool.finder.changes]
                    if any([await asyncio.to_thread(pool.finder.refresh) for pool in pools]):
                        await self._settle(set())
            except Exception:  # one odd file system must not end discovery
                log.exception("discovery_broke")

    async def _sync(self) -> None:
        """Put what was scraped on the disk once a second: that much may be lost in a power cut, no more."""
        while True:
            await asyncio.sleep(_SYNC_S)
            try:
                await self._writer.commit()
            except Refused as refusal:
                log.warning("scrapes_not_durable", error=str(refusal))


def _always_failing(error: str) -> Fetch:
    async def fetch(_: Target) -> Fetched:
        raise BadInput(error)

    return fetch


def _unusable(pool: str, discovered: Any) -> Target:
    return Target(pool, discovered, {}, "", 0, 0)


def _rfc3339(at_ms: int) -> str:
    if not at_ms:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
