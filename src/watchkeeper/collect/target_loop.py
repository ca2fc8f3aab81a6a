"""One target: fetched, read and stored again and again until it goes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from watchkeeper.collect.custom_buckets import CustomBuckets
from watchkeeper.collect.exposition import PROTOBUF, Exposed, ExpositionReader
from watchkeeper.collect.fetch import Fetch, Fetched
from watchkeeper.collect.pool_metrics import note_interval
from watchkeeper.collect.protobuf_format import HistogramOptions
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.rows import Counts, ScrapeFailed, TargetRows, count_refused
from watchkeeper.collect.sample_text import BadBody
from watchkeeper.collect.schedule import next_scrape_ms, scrape_time_ms
from watchkeeper.collect.settings import ScrapeConfig, ScrapeSettings
from watchkeeper.collect.targets import Target
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import ExemplarWriter, MetricWriter
from watchkeeper.model.errors import BadInput, OverLimit, Refused
from watchkeeper.model.frame import MetricMetadata, Row
from watchkeeper.model.metrics import counter, histogram

log = structlog.get_logger(__name__)

_BIG_BODY_BYTES = 512 << 10  # read in a thread from here on, so that nothing else waits for it
_LINES_PER_SAMPLE_MAX = 3  # HELP, TYPE, sample

_scrapes = counter("watchkeeper_scrapes", "Scrapes made", ("result",))
_samples = counter("watchkeeper_scraped_samples", "Samples read from targets")
_seconds = histogram("watchkeeper_scrape_duration_seconds", "How long scrapes took")
_ok, _failed = _scrapes.labels("ok"), _scrapes.labels("failed")


@dataclass(slots=True)
class Health:
    """What the targets page says of a target."""

    state: str = "unknown"
    error: str = ""
    scraped_at_ms: int = 0
    duration_s: float = 0.0
    samples: int = 0


class TargetLoop:
    """Scrapes one target on its grid.

    target  whose labels never change; another set of labels is another target
    turn    bounds how many scrapes are under way at once
    """

    def __init__(
        self,
        target: Target,
        writer: MetricWriter,
        clock: Clock,
        settings: ScrapeSettings,
        turn: asyncio.Semaphore,
        exemplars: ExemplarWriter | None = None,
    ) -> None:
        self.target, self.health = target, Health()
        self._writer, self._clock, self._settings, self._turn = writer, clock, settings, turn
        self._exemplars = exemplars
        self._reader = ExpositionReader()
        self._convert: CustomBuckets | None = None
        self._fetch: Fetch | None = None
        self._rows: TargetRows | None = None
        self._task: asyncio.Task[None] | None = None
        self._began_s: float | None = None

    def use(self, config: ScrapeConfig, relabel: Relabel, fetch: Fetch) -> None:
        """Take settings, at the beginning and when they change; what is stored goes on as it was."""
        self._fetch = fetch
        options = HistogramOptions(
            bool(config.always_scrape_classic_histograms),
            config.native_histogram_bucket_limit or 0,
            config.native_histogram_min_bucket_factor or 0.0,
        )
        self._reader = ExpositionReader(options)  # what it last read, the rows to come have not seen
        convert = config.convert_classic_histograms_to_nhcb
        self._convert = CustomBuckets(classic=options.classic) if convert else None
        self._rows = TargetRows(self._writer, self.target, config, relabel)

    @property
    def metadata(self) -> Mapping[str, MetricMetadata]:
        """What the target said about its metric families."""
        return self._rows.metadata if self._rows is not None else {}

    def start(self) -> None:
        """Begin to scrape."""
        self._task = asyncio.create_task(self._run(), name=f"scrape {self.target.labels.get('instance', '')}")

    async def stop(self, *, gone: bool) -> None:
        """End; `gone` when the target is no more, and its series end with it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if gone and self._rows is not None and self.health.scraped_at_ms:
            self._store(self._rows.gone(max(self._clock.now_ms(), self.health.scraped_at_ms + 1)))

    async def _run(self) -> None:
        target = self.target
        planned = self._clock.now_ms()
        while True:
            planned = next_scrape_ms(max(planned, self._clock.now_ms()), target.interval_ms, target.number)
            await asyncio.sleep(max(planned - self._clock.now_ms(), 0) / 1000)
            async with self._turn:
                try:
                    now_ms = self._clock.now_ms()
                    await self.scrape_once(scrape_time_ms(planned, now_ms, target.interval_ms))
                except Exception:  # a fault of ours in one scrape must not end the target's loop
                    log.exception("scrape_broke", pool=target.pool, instance=target.labels.get("instance", ""))

    async def scrape_once(self, time_ms: int) -> Counts:
        """Scrape now and store what came under a timestamp."""
        assert self._rows is not None
        assert self._fetch is not None
        rows_of, began = self._rows, self._clock.monotonic_s()
        if self._began_s is not None:
            note_interval(self.target.interval_ms, began - self._began_s)
        self._began_s = began
        try:
            exposed = await self._expose(await self._fetch(self.target))
            duration_s = self._clock.monotonic_s() - began
            rows, counts = rows_of.rows(exposed, time_ms, duration_s)
            self._store(rows)
            self._store_exemplars(rows_of, exposed, time_ms)
            error = ""
        except BadBody as failure:
            error, counts = str(failure), Counts(failure.samples, failure.kept)
        except ScrapeFailed as failure:
            error, counts = str(failure), failure.counts
        except (BadInput, OverLimit, Refused) as failure:
            error, counts = str(failure), Counts()
        duration_s = self._clock.monotonic_s() - began
        if error:
            self._store(rows_of.failed(time_ms, duration_s, counts))
        self._note(error, time_ms, duration_s, counts)
        return counts

    async def _expose(self, fetched: Fetched) -> Exposed:
        if len(fetched.body) > _BIG_BODY_BYTES:
            lines = 0 if fetched.media == PROTOBUF else fetched.body.count(b"\n")
            if lines > _LINES_PER_SAMPLE_MAX * self._settings.samples_max:  # before the work of reading them
                raise OverLimit("samples_max", f"{lines} lines", self._settings.samples_max)
            exposed = await asyncio.to_thread(self._read, fetched)
        else:
            exposed = self._read(fetched)
        if exposed.samples > self._settings.samples_max:
            raise OverLimit("samples_max", exposed.samples, self._settings.samples_max)
        return exposed

    def _read(self, fetched: Fetched) -> Exposed:
        exposed = self._reader.read(fetched.body, fetched.media)
        return exposed if self._convert is None else self._convert.convert(exposed)

    def _store(self, rows: list[Row]) -> None:
        try:
            count_refused(self._writer.append(rows).refused)
        except Refused as refusal:
            log.warning("scrape_not_stored", instance=self.target.labels.get("instance", ""), error=str(refusal))

    def _store_exemplars(self, rows_of: TargetRows, exposed: Exposed, time_ms: int) -> None:
        if self._exemplars is None or not exposed.exemplars:
            return
        try:
            self._exemplars.add(rows_of.exemplars(exposed, time_ms))
        except Refused as refusal:
            log.warning("exemplars_not_stored", instance=self.target.labels.get("instance", ""), error=str(refusal))

    def _note(self, error: str, time_ms: int, duration_s: float, counts: Counts) -> None:
        health = self.health
        if error and health.error != error:
            reason = error.rpartition('": ')[2][:200]  # without the URL, which may hold secrets
            instance = self.target.labels.get("instance", "")
            log.warning("scrape_failed", pool=self.target.pool, instance=instance, error=reason)
        health.state, health.error = ("down" if error else "up"), error
        health.scraped_at_ms, health.duration_s, health.samples = time_ms, duration_s, counts.scraped
        (_failed if error else _ok).inc()
        _samples.inc(counts.scraped)
        _seconds.observe(duration_s)
