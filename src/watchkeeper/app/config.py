"""From a folder of files to each stage's settings: read all of them, or say everything that is wrong.

    watchkeeper.yml    OwnSettings
    prometheus.yml     global, scrape_configs, rule_files (globs, relative to the file)
    alertmanager.yml   routes and receivers
    promtail.yml       files to tail (or promtail.yaml)
    dashboards/        *.json

`watchkeeper check`, `up` and reload are this same code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from watchkeeper.app.settings import OwnSettings
from watchkeeper.collect.logs.promtail import LogScrapeConfig, PromtailConfig, StaticConfig
from watchkeeper.collect.settings import GlobalConfig, ScrapeConfig, complete
from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.errors import BadConfig, BadConfigs, BadInput
from watchkeeper.notify.alerting_settings import Alerting, AlertingConfig
from watchkeeper.notify.settings import DEFAULT_CONFIG, AlertmanagerConfig, load_config
from watchkeeper.rules.bundles import bundles
from watchkeeper.rules.files import RuleFile, duplicates, read_rules
from watchkeeper.rules.language import LOGQL, PROMQL, Language
from watchkeeper.rules.quarantine import read_usable
from watchkeeper.rules.slo import read_slos

_OTHER_NAMES = frozenset(
    f"{name}.{ending}" for name in ("watchkeeper", "alertmanager", "promtail") for ending in ("yml", "yaml")
)
_RULE_FILES_MAX = 10_000
_HOST_LOGS = PromtailConfig(  # what Promtail's own example reads
    scrape_configs=[
        LogScrapeConfig(
            job_name="system",
            static_configs=[StaticConfig(labels={"job": "varlogs", "__path__": "/var/log/*log"})],
        )
    ]
)
_Read = TypeVar("_Read")


def _or_empty(kind: type) -> BeforeValidator:
    return BeforeValidator(lambda value: kind() if value is None else value)


class PrometheusConfig(Settings):
    """prometheus.yml. What it may hold but we do not act on yet is refused by name, or noticed where harmless."""

    global_: Annotated[GlobalConfig, _or_empty(dict)] = setting(GlobalConfig, "Defaults.", alias="global")
    rule_files: Annotated[tuple[str, ...], _or_empty(tuple)] = setting((), "Globs of rule files.")
    scrape_config_files: Annotated[tuple[str, ...], _or_empty(tuple)] = setting((), "Globs of more scrape_configs.")
    scrape_configs: Annotated[tuple[ScrapeConfig, ...], _or_empty(tuple)] = setting((), "What to scrape.")
    alerting: Alerting = setting(AlertingConfig, "Alertmanagers that alerts are sent to.")
    storage: dict[str, Any] | None = setting(None, "Noticed: see metrics in watchkeeper.yml.")
    runtime: dict[str, Any] | None = setting(None, "Noticed: of no meaning here.")
    otlp: dict[str, Any] | None = setting(None, "Noticed: OTLP is not received yet.")
    tracing: dict[str, Any] | None = setting(None, "Noticed: no traces are sent.")


class _ScrapeFile(Settings):
    scrape_configs: Annotated[tuple[ScrapeConfig, ...], _or_empty(tuple)] = setting((), "What to scrape.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that was read.

    folder      where the files lie; None without a configuration
    rule_files  built-in ones included, in order
    notices     what a person should know though it is no error
    texts       file name → text as read, for /api/v1/status/config
    """

    folder: Path | None
    own: OwnSettings = field(default_factory=OwnSettings)
    prometheus: PrometheusConfig = field(default_factory=PrometheusConfig)
    rule_files: tuple[RuleFile, ...] = ()
    alertmanager: AlertmanagerConfig = DEFAULT_CONFIG
    promtail: PromtailConfig | None = None
    dashboards: Path | None = None
    notices: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def tails(self) -> tuple[PromtailConfig, ...]:
        """What is read of log files; without any configuration, this host's."""
        return (self.promtail,) if self.promtail else (_HOST_LOGS,) if self.watches_host else ()

    @property
    def watches_itself(self) -> bool:
        return self.own.watch.itself is not False

    @property
    def watches_host(self) -> bool:
        wanted = self.own.watch.host
        return not self.files if wanted is None else wanted


def load(where: Path | None, *, quarantine: bool = False, ignore_unknown: bool = False) -> Loaded:
    """Read a folder (or the folder of a file, taking that file as prometheus.yml unless it has another's name).

    quarantine      leave out rules that cannot be used (their files say which) instead of raising
    ignore_unknown  take fields of rule files that are not known
    raises          BadConfigs with every fault of every file; BadConfig when the place itself cannot be read
    """
    return _Reader(where, quarantine=quarantine, ignore_unknown=ignore_unknown).read()


class _Reader:
    """Reads file after file, gathering faults instead of stopping at the first."""

    def __init__(self, where: Path | None, *, quarantine: bool, ignore_unknown: bool) -> None:
        self._where, self._quarantine, self._ignore_unknown = where, quarantine, ignore_unknown
        self._faults: list[BadConfig] = []
        self._notices: list[str] = []
        self._files: list[str] = []

    def read(self) -> Loaded:
        folder, named = self._folder()
        own = self._file(folder, ("watchkeeper.yml", "watchkeeper.yaml"), _read_own) or OwnSettings()
        prometheus_names = (named,) if named else ("prometheus.yml", "prometheus.yaml")
        prometheus = self._file(folder, prometheus_names, self._read_prometheus)
        rule_files = self._bundles(prometheus is None if own.watch.rules is None else own.watch.rules)
        if prometheus is not None and folder is not None:
            prometheus = self._with_scrape_files(prometheus, folder)
            rule_files += self._matching(folder, prometheus.rule_files)
        rules = [one for path in rule_files[:_RULE_FILES_MAX] if (one := self._tried(self._read_rules, path))]
        slos = self._matching(folder, own.watch.slos) if folder is not None else []
        rules += [one for path in slos if (one := self._tried(read_slos, path))]
        logs = self._matching(folder, own.watch.log_rules) if folder is not None else []
        rules += [one for path in logs if (one := self._tried(lambda path: self._read_rules(path, LOGQL), path))]
        if self._quarantine:  # a check says it otherwise
            self._notices += duplicates(rules)
        alertmanager = self._file(folder, ("alertmanager.yml", "alertmanager.yaml"), load_config)
        self._notice(alertmanager, self._files[-1] if alertmanager else "", ("tracing", "event_recorder"))
        self._check_receivers(own, alertmanager or DEFAULT_CONFIG)
        promtail = self._file(folder, ("promtail.yml", "promtail.yaml"), _read_promtail)
        dashboards = folder / "dashboards" if folder is not None and (folder / "dashboards").is_dir() else None
        if self._faults:
            raise BadConfigs(self._faults)
        return Loaded(
            folder,
            own,
            prometheus or PrometheusConfig(),
            tuple(rules),
            alertmanager or DEFAULT_CONFIG,
            promtail,
            dashboards,
            tuple(self._notices),
            tuple(self._files),
        )

    def _read_rules(self, path: Path, language: Language = PROMQL) -> RuleFile:
        if self._quarantine:
            return read_usable(path, language)
        return read_rules(path, language, ignore_unknown=self._ignore_unknown)

    def _bundles(self, wanted: bool | tuple[str, ...]) -> list[Path]:
        """Give the files of the built-in rules that are switched on."""
        paths = bundles()
        if isinstance(wanted, bool):
            return list(paths.values()) if wanted else []
        for name in wanted:
            if name not in paths:
                self._faults.append(BadConfig("watchkeeper.yml", 0, "watch.rules", repr(name), f"one of {[*paths]}"))
        return [paths[name] for name in wanted if name in paths]

    def _folder(self) -> tuple[Path | None, str]:
        if self._where is None:
            return None, ""
        if self._where.is_dir():
            return self._where, ""
        if not self._where.is_file():
            raise BadConfig(str(self._where), 0, "", "nothing there", "a folder or a file")
        return self._where.parent, "" if self._where.name in _OTHER_NAMES else self._where.name

    def _file(self, folder: Path | None, names: Sequence[str], read: Callable[[Path], _Read]) -> _Read | None:
        if folder is None:
            return None
        found = [folder / name for name in names if (folder / name).is_file()]
        if len(found) > 1:
            self._faults.append(BadConfig(str(found[1]), 0, "", f"{found[0].name} beside it", "one of the two"))
        if not found:
            return None
        self._files.append(str(found[0]))
        return self._tried(read, found[0])

    def _tried(self, read: Callable[[Path], _Read], path: Path) -> _Read | None:
        try:
            return read(path)
        except BadConfigs as error:
            self._faults.extend(error.faults)
        except BadConfig as error:
            self._faults.append(error)
        except BadInput as error:
            self._faults.append(BadConfig(str(path), 0, "", str(error), "a file that can be used"))
        return None

    def _check_receivers(self, own: OwnSettings, alertmanager: AlertmanagerConfig) -> None:
        known = {one.name for one in alertmanager.receivers}
        for place, name in own.on_call.receivers():
            if name not in known:
                field = ".".join(map(str, ("on_call", *place)))
                self._faults.append(
                    BadConfig("watchkeeper.yml", 0, field, repr(name), "a receiver of alertmanager.yml")
                )

    def _read_prometheus(self, path: Path) -> PrometheusConfig:
        document = document_of(path)
        content = document.content if isinstance(document.content, dict) else {}
        for name in ("remote_write", "remote_read"):
            if content.get(name):
                raise document.fault((name,), "a section", f"none: {name} is not supported yet")
        config = document.read_as(PrometheusConfig)
        self._notice(config, str(path), ("storage", "runtime", "otlp", "tracing"), document)
        _check_jobs(config, document)
        return config

    def _notice(
        self, config: Settings | None, path: str, names: Sequence[str], document: Document | None = None
    ) -> None:
        """Say of fields that are set that they have no effect, and why."""
        if config is None:
            return
        for name in names:
            if getattr(config, name):
                meaning = str(type(config).model_fields[name].description).removeprefix("Noticed: ")
                where = path if document is None else f"{path}:{document.line((name,))}"
                self._notices.append(f"{where}: {name} is not used: {meaning}")

    def _with_scrape_files(self, config: PrometheusConfig, folder: Path) -> PrometheusConfig:
        extra = list(config.scrape_configs)
        for path in self._matching(folder, config.scrape_config_files):
            more = self._tried(lambda one: document_of(one).read_as(_ScrapeFile), path)
            extra += more.scrape_configs if more is not None else ()
        return config.model_copy(update={"scrape_configs": tuple(extra)})

    def _matching(self, folder: Path, patterns: Sequence[str]) -> list[Path]:
        found: list[Path] = []
        for pattern in patterns:
            absolute = Path(pattern)
            root, rest = (absolute.parent, absolute.name) if absolute.is_absolute() else (folder, pattern)
            matches = sorted(root.glob(rest))
            if not matches and not any(character in pattern for character in "*?["):
                self._faults.append(BadConfig(str(folder / pattern), 0, "", "nothing there", "a file"))
            found += [one for one in matches if one not in found]
        return found


def _check_jobs(prometheus: PrometheusConfig, document: Document) -> None:
    seen: set[str] = set()
    for at, config in enumerate(prometheus.scrape_configs):
        try:
            complete(config, prometheus.global_)
        except BadInput as error:
            raise document.fault(("scrape_configs", at), str(error), "what fits the global section") from None
        if config.job_name in seen:
            raise document.fault(("scrape_configs", at, "job_name"), repr(config.job_name), "each job_name once")
        seen.add(config.job_name)


def document_of(path: Path) -> Document:
    """Read a file's YAML.

    raises  BadConfig
    """
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or str(error), "a file that can be read") from None


def _read_own(path: Path) -> OwnSettings:
    return document_of(path).read_as(OwnSettings)


def _read_promtail(path: Path) -> PromtailConfig:
    return document_of(path).read_as(PromtailConfig)
