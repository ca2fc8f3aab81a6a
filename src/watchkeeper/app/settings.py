"""watchkeeper.yml: only what the other files have no place for; each stage's own settings, gathered."""

from pathlib import Path

from watchkeeper.api.remote_read import RemoteReadSettings
from watchkeeper.api.tsdb import AdminApiSettings
from watchkeeper.collect.logs.promtail import TailSettings
from watchkeeper.collect.logs.settings import PushSettings
from watchkeeper.collect.remote_write import RemoteWriteSettings
from watchkeeper.collect.settings import ScrapeSettings
from watchkeeper.gateway.settings import GatewaySettings
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import BadInput
from watchkeeper.net.settings import AuthSettings, NetSettings
from watchkeeper.notify.alerting_settings import ForwardSettings
from watchkeeper.notify.cluster import ClusterSettings
from watchkeeper.notify.desk import DeskSettings
from watchkeeper.notify.heartbeats import HeartbeatSettings
from watchkeeper.notify.ledger import LedgerSettings
from watchkeeper.notify.oncall_settings import OnCallSettings
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.query.settings import QuerySettings
from watchkeeper.rules.settings import RuleSettings
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.settings import DiskSettings, MetricSettings


class StateSettings(Settings):
    """Where users, keys, dashboards, silences and the rest are kept."""

    url: str = setting("", "SQLAlchemy URL of a database of its own; empty: state.db in the data directory.")
    url_file: str = setting("", "A file that holds the URL, which may contain a password.")

    def address(self) -> str:
        """Give the URL, "" for state.db in the data directory.

        raises  BadInput when the file cannot be read
        """
        if not self.url_file:
            return self.url
        try:
            return Path(self.url_file).read_text("utf-8").strip()
        except OSError as error:
            raise BadInput(f"cannot read state.url_file {self.url_file}: {error.strerror}") from None


class WatchSettings(Settings):
    """What is watched without being asked over HTTP."""

    itself: bool | None = setting(None, "Keep its own metrics and log; by default yes.")
    host: bool | None = setting(
        None, "Keep this host's metrics and the logs of /var/log; by default without any files."
    )
    rules: bool | tuple[str, ...] | None = setting(
        None,
        "Evaluate the built-in rules: all, none, or the bundles in this list (`watchkeeper rules list`); by default all"
        " without a prometheus.yml, none with one.",
    )
    log_rules: tuple[str, ...] = setting(
        (), "Globs of rule files on logs (the Loki ruler's format, LogQL), relative to this file."
    )
    slos: tuple[str, ...] = setting(
        (), "Globs of SLO files, relative to this file; the rules that follow from them are evaluated."
    )
    interval_ms: int = setting(15_000, "How often.", unit="ms", ge=1000)


class OwnSettings(Settings):
    """The whole file."""

    net: NetSettings = setting(NetSettings, "The listener and its gate.")
    auth: AuthSettings = setting(AuthSettings, "Signing in.")
    metrics: MetricSettings = setting(MetricSettings, "The metrics store.")
    logs: LogSettings = setting(LogSettings, "The log store.")
    disk: DiskSettings = setting(DiskSettings, "Room on the disk.")
    state: StateSettings = setting(StateSettings, "The state store.")
    scrape: ScrapeSettings = setting(ScrapeSettings, "Limits of scraping.")
    rules: RuleSettings = setting(RuleSettings, "Evaluation of rules.")
    query: QuerySettings = setting(QuerySettings, "PromQL.")
    log_query: LogQuerySettings = setting(LogQuerySettings, "LogQL.")
    remote_write: RemoteWriteSettings = setting(RemoteWriteSettings, "Receiving remote write.")
    remote_read: RemoteReadSettings = setting(RemoteReadSettings, "Answering remote read.")
    admin_api: AdminApiSettings = setting(AdminApiSettings, "What an admin may do over HTTP.")
    tail: TailSettings = setting(TailSettings, "Reading log files.")
    push: PushSettings = setting(PushSettings, "The Loki push API.")
    notify: DeskSettings = setting(DeskSettings, "Limits of alerts, silences and the inbox.")
    alertmanagers: ForwardSettings = setting(ForwardSettings, "Sending alerts to the Alertmanagers of prometheus.yml.")
    ledger: LedgerSettings = setting(LedgerSettings, "The delivery ledger: each alert's way to people.")
    on_call: OnCallSettings = setting(OnCallSettings, "Acknowledgement, escalation, digests.")
    heartbeats: HeartbeatSettings = setting(HeartbeatSettings, "Dead man's switches.")
    cluster: ClusterSettings = setting(ClusterSettings, "Processes that share one PostgreSQL.")
    gateway: GatewaySettings = setting(GatewaySettings, "The agents' gateway.")
    watch: WatchSettings = setting(WatchSettings, "This host and this process.")
