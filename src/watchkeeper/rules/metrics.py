"""What the evaluation of rules counts, under Prometheus' names; the label is "<file>;<group>"."""

from watchkeeper.model.metrics import counter, gauge, summary

_EVALUATIONS = counter("prometheus_rule_evaluations", "The total number of rule evaluations.", ("rule_group",))
_FAILURES = counter(
    "prometheus_rule_evaluation_failures", "The total number of rule evaluation failures.", ("rule_group",)
)
_DURATION = summary(
    "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute.", quantiles=(0.5, 0.9, 0.99)
)
_GROUP_DURATION = summary(
    "prometheus_rule_group_duration_seconds",
    "The duration of rule group evaluations.",
    quantiles=(0.01, 0.05, 0.5, 0.9, 0.99),
)
_ITERATIONS = counter(
    "prometheus_rule_group_iterations",
    "The total number of scheduled rule group evaluations, whether executed or missed.",
    ("rule_group",),
)
_MISSED = counter(
    "prometheus_rule_group_iterations_missed",
    "The total number of rule group evaluations missed due to slow rule group evaluation.",
    ("rule_group",),
)
_INTERVAL = gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.", ("rule_group",))
_RULES = gauge("prometheus_rule_group_rules", "The number of rules.", ("rule_group",))
_LAST_TIME = gauge(
    "prometheus_rule_group_last_evaluation_timestamp_seconds",
    "The timestamp of the last rule group evaluation in seconds.",
    ("rule_group",),
)
_LAST_DURATION = gauge(
    "prometheus_rule_group_last_duration_seconds", "The duration of the last rule group evaluation.", ("rule_group",)
)
_LAST_SAMPLES = gauge(
    "prometheus_rule_group_last_evaluation_samples",
    "The number of samples returned during the last rule group evaluation.",
    ("rule_group",),
)
_RULE_SUM = gauge(
    "prometheus_rule_group_last_rule_duration_sum_seconds",
    "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency. This should be"
    " higher than the group duration if rules are evaluated concurrently.",
    ("rule_group",),
)
_RESTORE_DURATION = gauge(
    "prometheus_rule_group_last_restore_duration_seconds",
    "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
    ("rule_group",),
)
SET_ASIDE = gauge(
    "watchkeeper_rules_quarantined",
    "Rules (or groups, or files, where no rule can be named) that were left out because they cannot be used, by file.",
    ("file",),
)
SENDING_FAILURES = counter("watchkeeper_rule_alert_sendings_failed", "Batches of alerts that notify did not take.")
SAMPLES_REFUSED = counter(
    "watchkeeper_rule_samples_refused", "Samples made by rules that the store refused, by reason.", ("reason",)
)
_OF_GROUP = (
    _EVALUATIONS,
    _FAILURES,
    _ITERATIONS,
    _MISSED,
    _INTERVAL,
    _RULES,
    _LAST_TIME,
    _LAST_DURATION,
    _LAST_SAMPLES,
    _RULE_SUM,
    _RESTORE_DURATION,
)


def describe_group(key: str, rules: int, interval_ms: int) -> None:
    """Begin to count a group; everything about it is 0 then, so that rates of it are right from the first failure."""
    for metric in _OF_GROUP:
        metric.labels(key)
    _RULES.labels(key).set(rules)
    _INTERVAL.labels(key).set(interval_ms / 1000)


def forget_group(key: str) -> None:
    """Count a group no more."""
    for metric in _OF_GROUP:
        metric.remove(key)


def count_evaluation(key: str, seconds: float) -> None:
    """Count one rule's evaluation."""
    _EVALUATIONS.labels(key).inc()
    _DURATION.observe(seconds)


def count_failure(key: str) -> None:
    """Count one rule's failure."""
    _FAILURES.labels(key).inc()


def count_restoration(key: str, seconds: float) -> None:
    """Note how long it took to find a group's alerts again."""
    _RESTORE_DURATION.labels(key).set(seconds)


def count_iteration(key: str, at_ms: int, seconds: float, samples: int, of_rules_s: float) -> None:
    """Count a group's evaluation."""
    _RULE_SUM.labels(key).set(of_rules_s)
    _ITERATIONS.labels(key).inc()
    _GROUP_DURATION.observe(seconds)
    _LAST_TIME.labels(key).set(at_ms / 1000)
    _LAST_DURATION.labels(key).set(seconds)
    _LAST_SAMPLES.labels(key).set(samples)


def count_missed(key: str, missed: int) -> None:
    """Count evaluations that did not take place."""
    _ITERATIONS.labels(key).inc(missed)
    _MISSED.labels(key).inc(missed)
