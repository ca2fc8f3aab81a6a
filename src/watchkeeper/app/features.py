"""What /api/v1/features says this server can do, by the names that Prometheus (3.8 and later) gives it."""

from watchkeeper.app.config import Loaded
from watchkeeper.query.promql.lexer import AGGREGATORS
from watchkeeper.query.promql.signatures import EXPERIMENTAL_AGGREGATORS, SIGNATURES
from watchkeeper.rules.template import FUNCTIONS

Features = dict[str, dict[str, bool]]

_OPERATORS = (
    "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^",
    "and", "atan2", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "without",
)  # fmt: skip
_API = (
    "exclude_alerts", "label_values_match", "labels_match", "lifecycle", "query_stats", "query_warnings",
    "remote_write_receiver", "remote_read", "rule_group_limit", "series_limit",
)  # fmt: skip
_RULES = ("keep_firing_for", "new_service_discovery_manager", "query_offset")


def features(loaded: Loaded, *, admin_api: bool) -> Features:
    """Give each category's features, and whether they are on.

    admin_api  whether the command line turns it on
    """
    query = loaded.own.query
    experimental = query.experimental_functions
    functions = {name: experimental or not one.experimental for name, one in SIGNATURES.items()}
    operators = dict.fromkeys(_OPERATORS, True)
    operators |= {name: experimental or name not in EXPERIMENTAL_AGGREGATORS for name in AGGREGATORS}
    return {
        "api": {"admin": admin_api or loaded.own.admin_api.enabled, **dict.fromkeys(_API, True)},
        "otlp_receiver": {},
        "prometheus": {"agent_mode": False, "auto_reload_config": False},
        "promql": {
            "at_modifier": True,
            "by": True,
            "negative_offset": True,
            "per_step_stats": True,
            "subqueries": True,
            "utf8_names": True,
        },
        "promql_functions": functions,
        "promql_operators": operators,
        "rules": dict.fromkeys(_RULES, True),
        "scrape": {"extra_metrics": False},
        "service_discovery_providers": {"file": True, "static": True},
        "templating_functions": dict.fromkeys(FUNCTIONS, True),
        "tsdb": {"exemplar_storage": loaded.own.metrics.exemplars_max > 0, "out_of_order": True},
        "ui": {"ui_v3": True},
    }
