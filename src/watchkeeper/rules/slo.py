"""Service level objectives: from a file that says what is promised to rules that tell how fast the budget burns.

The file is Sloth's (prometheus/v1), and so are the names of series and labels, so that its dashboards work, too:

    version: prometheus/v1
    service: shop
    labels: {team: shop}
    slos:
      - name: availability
        objective: 99.9                      # per cent, over `period` (30d)
        sli:
          events:                            # or raw: {error_ratio_query: …}
            error_query: sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}]))
            total_query: sum(rate(http_requests_total{job="shop"}[{{.window}}]))
        alerting:
          name: ShopFails
          page_alert: {labels: {severity: critical}}
          ticket_alert: {labels: {severity: warning}}

source  Google SRE workbook, Alerting on SLOs, 6: multiwindow, multi-burn-rate alerts; Sloth's documentation
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadConfig, BadConfigs
from watchkeeper.rules.files import Duration, LabelTexts, RuleFile, parse_rules

_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
# part of the budget, hours it burns in, long window, short window
_PAGE = ((2, 1, "1h", "5m"), (5, 6, "6h", "30m"))
_TICKET = ((10, 24, "1d", "2h"), (10, 72, "3d", "6h"))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and lists below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  # as in PyYAML
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


class Events(Settings):
    """Bad and all events, as rates."""

    error_query: str = setting("", "Rate of bad events; {{.window}} stands for the window.")
    total_query: str = setting("", "Rate of all events; likewise.")


class Raw(Settings):
    """The part of bad events."""

    error_ratio_query: str = setting("", "Part of bad events, 0 to 1; {{.window}} stands for the window.")


class Indicator(Settings):
    """What is measured; one of the two."""

    events: Events | None = setting(None, "Bad and all events.")
    raw: Raw | None = setting(None, "The part of bad events.")


class BurnAlert(Settings):
    """An alert about a budget that burns."""

    disable: bool = setting(default=False, description="Leave this alert out.")
    labels: LabelTexts = setting(dict, "Labels; `severity` is critical for pages, warning for tickets by default.")
    annotations: LabelTexts = setting(dict, "Texts.")


class Alerting(Settings):
    """Alerts of an objective."""

    name: str = setting("", "Name of the alerts; SERVICE-NAME by default.")
    labels: LabelTexts = setting(dict, "Labels of both.")
    annotations: LabelTexts = setting(dict, "Texts of both.")
    page_alert: BurnAlert = setting(BurnAlert, "The budget is gone within days: wakes somebody.")
    ticket_alert: BurnAlert = setting(BurnAlert, "The budget will not last: to be looked at in working hours.")


class Objective(Settings):
    """One promise."""

    name: str = setting("", "Its name, once a service.")
    objective: float = setting(0.0, "Good events in per cent, such as 99.9.", unit="%", gt=0, lt=100)
    description: str = setting("", "For people.")
    period: Duration = setting(30 * _DAY_MS, "Over which it is promised; 30d by default.")
    labels: LabelTexts = setting(dict, "Labels of its recordings.")
    sli: Indicator = setting(Indicator, "What is measured.")
    alerting: Alerting = setting(Alerting, "Its alerts.")

    @property
    def budget(self) -> float:
        """The part of events that may be bad."""
        return round(1 - self.objective / 100, 12)


class SloFile(Settings):
    """The whole file."""

    version: str = setting("prometheus/v1", "Always prometheus/v1.")
    service: str = setting("", "The service.")
    labels: LabelTexts = setting(dict, "Labels of all its recordings.")
    slos: Annotated[tuple[Objective, ...], BeforeValidator(lambda value: () if value is None else value)] = setting(
        (), "Its promises."
    )


def read_slos(path: Path) -> RuleFile:
    """Read an SLO file as the rules that follow from it.

    raises  BadConfigs with every fault
    """
    return parse_rules(slo_rules(path), str(path))


def slo_rules(path: Path) -> str:
    """Make the rule file of an SLO file.

    raises  BadConfigs with every fault: file, line, field
    """
    try:
        document = parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or "an error", "a readable file") from error
    config = document.read_as(SloFile)
    faults = list(_faults(document, config))
    if faults:
        raise BadConfigs(faults)
    groups = [group for slo in config.slos for group in _groups(config, slo)]
    text = yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    try:
        parse_rules(text, str(path))
    except BadConfigs as error:  # lines of the made file would lead nowhere
        faults = [BadConfig(str(path), 0, "", one.got, one.want) for one in error.faults]
        raise BadConfigs(list({str(one): one for one in faults}.values())) from None
    return text


def _faults(document: Document, config: SloFile) -> Iterator[BadConfig]:
    if config.version != "prometheus/v1":
        yield document.fault(("version",), repr(config.version), "prometheus/v1")
    if not _NAME.fullmatch(config.service):
        yield document.fault(("service",), repr(config.service), "a name of letters, digits, - _ .")
    names: set[str] = set()
    for at, slo in enumerate(config.slos):
        place = ("slos", at)
        if not _NAME.fullmatch(slo.name) or slo.name in names:
            yield document.fault((*place, "name"), repr(slo.name), "a name of letters, digits, - _ ., each once")
        names.add(slo.name)
        if slo.objective == 0:
            yield document.fault((*place, "objective"), "nothing", "a number between 0 and 100")
        if slo.period < 7 * _DAY_MS:
            yield document.fault((*place, "period"), format_duration(slo.period), "7d or longer")
        if (slo.sli.events is None) == (slo.sli.raw is None):
            yield document.fault((*place, "sli"), "both or neither", "one of events and raw")
            continue
        queries = slo.sli.events or slo.sli.raw
        assert queries is not None
        for field, query in queries:
            if not _WINDOW.search(query):
                kind = "events" if slo.sli.events else "raw"
                yield document.fault((*place, "sli", kind, field), repr(query[:60]), "a query with [{{.window}}]")


def _groups(config: SloFile, slo: Objective) -> Iterator[dict[str, Any]]:
    own = _identity(config, slo)
    labels = {**config.labels, **slo.labels, **own}
    name = own["sloth_id"]
    yield {"name": f"sloth-slo-sli-recordings-{name}", "rules": list(_indicators(slo, labels, own))}
    yield {"name": f"sloth-slo-meta-recordings-{name}", "rules": list(_facts(slo, labels, own))}
    alerts = list(_alerts(config, slo, own))
    if alerts:
        yield {"name": f"sloth-slo-alerts-{name}", "rules": alerts}


def _identity(config: SloFile, slo: Objective) -> dict[str, str]:
    return {"sloth_id": f"{config.service}-{slo.name}", "sloth_service": config.service, "sloth_slo": slo.name}


def _days(slo: Objective) -> str:
    whole = slo.period % _DAY_MS == 0
    return f"{slo.period // _DAY_MS}d" if whole else format_duration(slo.period)


def _chosen(own: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in own.items()) + "}"


def _indicators(slo: Objective, labels: dict[str, str], own: dict[str, str]) -> Iterator[dict[str, Any]]:
    for window in _WINDOWS:
        expr = _ratio(slo.sli, window)
        yield {
            "record": f"slo:sli_error:ratio_rate{window}",
            "expr": expr,
            "labels": {**labels, "sloth_window": window},
        }
    period, short = _days(slo), f"slo:sli_error:ratio_rate5m{_chosen(own)}"
    yield {
        "record": f"slo:sli_error:ratio_rate{period}",
        "expr": f"sum_over_time({short}[{period}]) / ignoring (sloth_window) count_over_time({short}[{period}])",
        "labels": {**labels, "sloth_window": period},
    }


def _ratio(sli: Indicator, window: str) -> str:
    if sli.raw is not None:
        return f"({_WINDOW.sub(window, sli.raw.error_ratio_query).strip()})"
    assert sli.events is not None
    errors, total = (_WINDOW.sub(window, query).strip() for query in (sli.events.error_query, sli.events.total_query))
    return f"({errors})\n/\n({total})"


def _facts(slo: Objective, labels: dict[str, str], own: dict[str, str]) -> Iterator[dict[str, Any]]:
    chosen, period = _chosen(own), _days(slo)
    budget = f"on (sloth_id, sloth_slo, sloth_service) group_left () slo:error_budget:ratio{chosen}"
    for record, expr in (
        ("slo:objective:ratio", f"vector({slo.objective / 100!r})"),
        ("slo:error_budget:ratio", f"vector(1 - {slo.objective / 100!r})"),
        ("slo:time_period:days", f"vector({slo.period / _DAY_MS:g})"),
        ("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{chosen} / {budget}"),
        ("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{period}{chosen} / {budget}"),
        ("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{chosen}"),
    ):
        yield {"record": record, "expr": expr, "labels": dict(labels)}
    about = {"sloth_objective": f"{slo.objective:g}", "sloth_spec": "prometheus/v1"}
    yield {"record": "sloth_slo_info", "expr": "vector(1)", "labels": {**labels, **about}}


def _alerts(config: SloFile, slo: Objective, own: dict[str, str]) -> Iterator[dict[str, Any]]:
    wanted = slo.alerting
    about = "{{ $labels.sloth_service }} {{ $labels.sloth_slo }}"
    for word, severity, settings, steps, speed in (
        ("page", "critical", wanted.page_alert, _PAGE, "is too fast"),
        ("ticket", "warning", wanted.ticket_alert, _TICKET, "is too fast to last"),
    ):
        if settings.disable:
            continue
        texts = {
            "title": f"({word}) {about}: the error budget burns too fast",
            "summary": f"{about}: the rate at which the error budget burns {speed}; "
            f"{{{{ $value | humanizePercentage }}}} of events are bad",
        }
        if slo.description:
            texts["description"] = slo.description
        yield {
            "alert": wanted.name or f"{config.service}-{slo.name}",
            "expr": "\nor\n".join(_burning(slo, own, step) for step in steps),
            "labels": {"severity": severity, **wanted.labels, **settings.labels, "sloth_severity": word},
            "annotations": {**texts, **wanted.annotations, **settings.annotations},
        }


def _burning(slo: Objective, own: dict[str, str], step: tuple[int, int, str, str]) -> str:
    """Say that a budget burns so fast that so many per cent of it go in so many hours, and still does."""
    per_cent, hours, long, short = step
    factor = f"{per_cent / 100 * slo.period / (hours * _HOUR_MS):.6g}"
    over = f"> ({factor} * {slo.budget!r})"
    parts = (f"max(slo:sli_error:ratio_rate{w}{_chosen(own)} {over}) without (sloth_window)" for w in (short, long))
    return "(" + "\nand\n".join(parts) + ")"
