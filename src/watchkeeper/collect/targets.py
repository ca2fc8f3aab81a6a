"""From what a discovery found to what is scraped: labels, address, interval.

source  Prometheus, scrape/target.go PopulateLabels; docs, Configuration, relabel_config
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from watchkeeper.collect.discovery_settings import check_address
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import ScrapeConfig
from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels, fingerprint

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to scrape.

    discovered  labels before relabelling
    labels      those that its samples get: none begins with "__"
    url         what is asked; "local" targets have one only for show
    number      64 bits that stay the same over restarts; spreads scrapes and names the frame
    """

    pool: str
    discovered: Labels
    labels: Labels
    url: str
    interval_ms: int
    timeout_ms: int
    number: int = field(default=0)

    @property
    def source(self) -> str:
        """The frame that its samples go to."""
        return f"scrape/{self.pool}/{self.labels.get('instance', '')}/{self.number:016x}"


def make_target(config: ScrapeConfig, relabel: Relabel, found: Labels) -> tuple[Labels, Target | None]:
    """Turn what a discovery found into a target.

    config   completed: interval and timeout set
    found    labels of the discovery, `__address__` among them
    returns  the labels before relabelling, and the target, or None when a rule dropped it
    raises   BadInput when it cannot be scraped
    """
    discovered = _with_defaults(config, found)
    labels = relabel.apply(discovered)
    if labels is None:
        return discovered, None
    address = labels.get("__address__", "")
    if not address:
        raise BadInput("no address")
    try:
        check_address(address)
    except ValueError as error:
        raise BadInput(str(error)) from None
    interval_ms, timeout_ms = _times(labels)
    public = {name: value for name, value in labels.items() if not name.startswith("__")}
    public.setdefault("instance", address)
    public = dict(sorted(public.items()))
    url = _url(config, labels)
    number = fingerprint({**public, "__url__": url})
    return discovered, Target(config.job_name, discovered, public, url, interval_ms, timeout_ms, number)


def _with_defaults(config: ScrapeConfig, found: Labels) -> Labels:
    defaults = {
        "job": config.job_name,
        "__scrape_interval__": format_duration(config.scrape_interval),
        "__scrape_timeout__": format_duration(config.scrape_timeout),
        "__metrics_path__": config.metrics_path,
        "__scheme__": config.scheme,
        **{f"__param_{name}": values[0] for name, values in config.params.items() if values},
    }
    given = {name: value for name, value in found.items() if value}
    return dict(sorted((defaults | given).items()))


def _times(labels: Mapping[str, str]) -> tuple[int, int]:
    times = []
    for what in ("interval", "timeout"):
        try:
            times.append(parse_duration(labels.get(f"__scrape_{what}__", "")))
        except BadInput as error:
            raise BadInput(f"error parsing scrape {what}: {error}") from None
        if times[-1] == 0:
            raise BadInput(f"scrape {what} cannot be 0")
    interval_ms, timeout_ms = times
    if timeout_ms > interval_ms:
        shown = f"{format_duration(timeout_ms)!r} > {format_duration(interval_ms)!r}".replace("'", '"')
        raise BadInput(f"scrape timeout cannot be greater than scrape interval ({shown})")
    return interval_ms, timeout_ms


def _url(config: ScrapeConfig, labels: Mapping[str, str]) -> str:
    params = {name: list(values) for name, values in config.params.items()}
    for label, value in labels.items():
        if label.startswith("__param_"):
            params.setdefault(label.removeprefix("__param_"), [""])[:1] = [value]
    query = urlencode([(name, value) for name in sorted(params) for value in params[name]])
    path = quote(labels.get("__metrics_path__", ""), safe="/:@!$&'()*+,;=-._~%?")
    path, _, own = path.partition("?")
    query = "&".join(part for part in (own, query) if part)
    return f"{labels.get('__scheme__', '')}://{labels['__address__']}{path}" + (f"?{query}" if query else "")


def global_url(url: str, host: str) -> str:
    """Give a URL as others may reach it: with this machine's name where it says localhost."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    name, colon, port = place.rpartition(":")
    if not colon:
        name, port = place, ""
    return f"{scheme}://{host}{colon}{port}{slash}{path}" if name in _LOCAL_HOSTS else url
