"""Labels and annotations of alerts: Go templates with Prometheus' functions and variables.

source  Prometheus docs, Template reference; error texts as Prometheus gives them
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlsplit

from watchkeeper.model import humanize
from watchkeeper.model.doors import AlertSample, Ask
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.model.gotemplate import Function, Record, SafeText, StringMap, Template, texts
from watchkeeper.model.metrics import counter

# What Prometheus puts before every text, so that $labels and $value are there; error columns count it, too.
_DEFINITIONS = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
_DATA_TYPE = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
)
_RESULT_TYPE, _SAMPLE_TYPE = "template.queryResult", "*template.sample"
_EXPANSIONS = counter("prometheus_template_text_expansions", "The total number of template text expansions.")
_FAILURES = counter(
    "prometheus_template_text_expansion_failures", "The total number of template text expansion failures."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What templates of all rules see alike.

    ask              answers the `query` function
    external_labels  of the configuration's global section
    external_url     where this server is reached, without a slash at the end
    """

    ask: Ask
    external_labels: Mapping[str, str]
    external_url: str


class AlertText:
    """A label's or annotation's text, parsed once.

    raises  BadInput with Go's text when it is no template
    """

    __slots__ = ("_alert", "_template", "text")

    def __init__(self, alert: str, text: str) -> None:
        self.text, self._alert = text, alert
        plain = "{{" not in text
        self._template = None if plain else Template.parse(f"__alert_{alert}", _DEFINITIONS + text, FUNCTIONS)

    def expand(self, sample: AlertSample, at_ms: int, around: Surroundings) -> str:
        """Give the text for one element of the rule's vector; a failure is said in the text, as Prometheus does."""
        if self._template is None:
            return self.text
        _EXPANSIONS.inc()
        data = Record(
            _DATA_TYPE,
            {
                "Labels": StringMap(sample.labels),
                "ExternalLabels": StringMap(around.external_labels),
                "ExternalURL": around.external_url,
                "Value": sample.value,
            },
        )
        try:
            return self._template.execute(data, missing_key="zero", functions=_bound(around, at_ms))
        except BadInput as error:
            _FAILURES.inc()
            return f"<error expanding template: error executing template __alert_{self._alert}: {error}>"


@lru_cache(maxsize=4096)
def alert_text(alert: str, text: str) -> AlertText:
    """Give a parsed text; what was parsed to check a file is not parsed again to use it.

    raises  BadInput with Go's text when it is no template
    """
    return AlertText(alert, text)


def link(expr: str, tab: int) -> str:
    """Give the path that shows an expression: tab 0 as a graph, 1 as a table."""
    return f"/graph?g0.expr={quote_plus(expr, safe='~')}&g0.tab={tab}"


def _bound(around: Surroundings, at_ms: int) -> dict[str, Function]:
    """Give the functions that depend on the moment and the place."""
    return {
        "query": Function(lambda expr: _query(around.ask, expr, at_ms), ("string",)),
        "externalURL": Function(lambda: around.external_url),
        "pathPrefix": Function(lambda: urlsplit(around.external_url).path),
    }


class _QueryResult(list[Record]):
    """What `query` gives."""

    go_type = _RESULT_TYPE


def _query(ask: Ask, expr: str, at_ms: int) -> _QueryResult:
    try:
        return _QueryResult(_sample(sample) for sample in ask(expr, at_ms))
    except BadInput:
        raise
    except WatchkeeperError as error:
        raise BadInput(str(error)) from error


def _sample(sample: AlertSample) -> Record:
    return Record(_SAMPLE_TYPE, {"Labels": StringMap(sample.labels), "Value": sample.value})


def _first(samples: _QueryResult) -> Record:
    if not samples:
        raise BadInput("first() called on vector with no elements")
    return samples[0]


def _label(name: str, sample: Record) -> str:
    return str(sample.fields["Labels"].get(name, ""))


def _sort_by_label(name: str, samples: _QueryResult) -> _QueryResult:
    return _QueryResult(sorted(samples, key=lambda sample: _label(name, sample)))


def _split_port(address: str) -> tuple[str, str] | None:
    """Split "host:port" as Go's net.SplitHostPort; None where that fails."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]") and "[" not in host[1:]:
        return host[1:-1], port
    if not colon or ":" in host or "[" in host or "]" in address:
        return None
    return host, port


def _strip_port(address: str) -> str:
    parts = _split_port(address)
    return parts[0] if parts else address


def _strip_domain(address: str) -> str:
    host, port = _split_port(address) or (address, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.split(".", 1)[0]
        return f"{name}:{port}" if port else name
    return address


def _numbered(*values: Any) -> dict[str, Any]:
    return {f"arg{at}": value for at, value in enumerate(values)}


def _unbound(*_: Any) -> Any:
    raise BadInput("cannot be called here")


def _of_text(call: Callable[..., Any], count: int = 1) -> Function:
    return Function(call, ("string",) * count)


FUNCTIONS: dict[str, Function] = {
    "query": _of_text(_unbound),
    "first": Function(_first, (_RESULT_TYPE,)),
    "label": Function(_label, ("string", _SAMPLE_TYPE)),
    "value": Function(lambda sample: sample.fields["Value"], (_SAMPLE_TYPE,)),
    "strvalue": Function(lambda sample: _label("__value__", sample), (_SAMPLE_TYPE,)),
    "sortByLabel": Function(_sort_by_label, ("string", _RESULT_TYPE)),
    "args": Function(_numbered, (), "any"),
    "humanize": Function(humanize.humanize, ("any",)),
    "humanize1024": Function(humanize.humanize_1024, ("any",)),
    "humanizeDuration": Function(humanize.humanize_duration, ("any",)),
    "humanizePercentage": Function(humanize.humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanize.humanize_timestamp, ("any",)),
    "toTime": Function(humanize.to_time, ("any",)),
    "parseDuration": _of_text(humanize.duration_seconds),
    "title": _of_text(texts.title),
    "toUpper": _of_text(str.upper),
    "toLower": _of_text(str.lower),
    "match": _of_text(texts.matches, 2),
    "reReplaceAll": _of_text(texts.replace_all, 3),
    "safeHtml": _of_text(SafeText),
    "graphLink": _of_text(lambda expr: link(expr, 0)),
    "tableLink": _of_text(lambda expr: link(expr, 1)),
    "stripPort": _of_text(_strip_port),
    "stripDomain": _of_text(_strip_domain),
    "pathPrefix": Function(_unbound),
    "externalURL": Function(_unbound),
}
