"""What Alertmanager's metrics say about its configuration; the mixin's alerts and dashboards read them.

source  github.com/prometheus/alertmanager, cmd/alertmanager/main.go, config/coordinator.go
"""

import hashlib
import platform
import sys

import watchkeeper
from watchkeeper.model.metrics import gauge
from watchkeeper.notify.render import shown_config
from watchkeeper.notify.settings import AlertmanagerConfig

_build = gauge(
    "alertmanager_build_info",
    "A metric with a constant '1' value labeled by version, revision and branch, as Alertmanager has it.",
    ("version", "revision", "branch", "goversion", "goos", "goarch", "tags"),
)
_hash = gauge(
    "alertmanager_config_hash",
    "Hash of the currently loaded alertmanager configuration. Note that this is not a cryptographically strong hash.",
)
_receivers = gauge("alertmanager_receivers", "Number of configured receivers.")
_integrations = gauge("alertmanager_integrations", "Number of configured integrations.")
_inhibitions = gauge("alertmanager_inhibition_rules", "Number of configured inhibition rules.")
_own = watchkeeper.__version__
_build.labels(_own, f"watchkeeper-{_own}", "HEAD", "", sys.platform, platform.machine(), "").set(1)


def note_config(config: AlertmanagerConfig) -> None:
    """Show a configuration that is in use from now on."""
    _hash.set(int.from_bytes(hashlib.sha256(shown_config(config).encode()).digest()[:6]))
    _receivers.set(len(config.receivers))
    _integrations.set(sum(len(list(receiver.integrations())) for receiver in config.receivers))
    _inhibitions.set(len(config.inhibit_rules))
