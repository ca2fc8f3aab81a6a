"""Sends an incident to VictorOps (Splunk On-Call).

source  github.com/prometheus/alertmanager, notify/victorops; Splunk On-Call, REST endpoint integration
"""

from watchkeeper.notify.notification import Means, Notification
from watchkeeper.notify.post import check, cut, joined, post_json, secret
from watchkeeper.notify.receiver_settings import VictoropsConfig

_STATE_MESSAGE_MAX = 20_480
_KINDS = ("INFO", "WARNING", "CRITICAL")


async def send(notification: Notification, config: VictoropsConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    texts = means.texts(notification)
    kind = texts.text(config.message_type)
    if not notification.is_firing:
        kind = "RECOVERY"
    elif kind not in _KINDS:
        kind = "CRITICAL"
    message = {
        "message_type": kind,
        "entity_id": notification.key,
        "entity_display_name": texts.text(config.entity_display_name),
        "state_message": cut(texts.text(config.state_message), _STATE_MESSAGE_MAX),
        "monitoring_tool": texts.text(config.monitoring_tool),
        **{name: texts.text(value) for name, value in config.custom_fields.items()},
    }
    path = f"{await secret(config, 'api_key')}/{texts.text(config.routing_key)}"
    url = joined(config.api_url, path)
    check(await post_json(notification, config, means, url, dict(sorted(message.items()))))
