"""What may be set about the evaluation of rules."""

from watchkeeper.model.document import Settings, setting


class RuleSettings(Settings):
    """Names follow Prometheus' flags (--rules.alert.resend-delay, …)."""

    resend_delay_ms: int = setting(60_000, "How long to wait before a firing alert is sent again.", unit="ms", ge=0)
    for_outage_tolerance_ms: int = setting(
        3_600_000, "After an outage longer than this, alerts begin their `for` time anew.", unit="ms", ge=0
    )
    for_grace_period_ms: int = setting(
        600_000,
        "Shortest time between a restart and an alert that was pending before it, for rules whose `for` is longer.",
        unit="ms",
        ge=0,
    )
    concurrent_evaluations: int = setting(
        8, "Groups whose expressions are evaluated at the same moment, each in a thread.", unit="groups", ge=1, le=64
    )
    results_max: int = setting(100_000, "A rule whose expression gives more elements fails.", unit="elements", ge=1)
    replay_timeout_ms: int = setting(
        300_000, "A replay over HTTP (POST /api/replay) that takes longer is ended.", unit="ms", ge=1000
    )
    log_groups_max: int = setting(
        1000, "Groups of rules on logs that may be kept over HTTP (the Loki ruler's API).", unit="groups", ge=0
    )
