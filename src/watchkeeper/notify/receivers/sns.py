"""Publishes to Amazon SNS.

source  github.com/prometheus/alertmanager, notify/sns; AWS, Publish
"""

from urllib.parse import quote_plus

from watchkeeper.net.http_config import HttpConfig, current_options
from watchkeeper.notify.aws import FORM, Signer
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, cut_bytes
from watchkeeper.notify.post import send as request
from watchkeeper.notify.receiver_settings import SnsConfig

_SUBJECT_MAX, _SMS_MAX, _MESSAGE_BYTES_MAX = 100, 1600, 256 * 1024


async def send(notification: Notification, config: SnsConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 5xx and network errors may pass
    """
    form = _form(notification, means.texts(notification), config)
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form).encode()
    url = config.api_url or f"https://sns.{config.sigv4.region_name}.amazonaws.com/"
    options = await current_options(config.http_config or HttpConfig(), notification.timeout_s)
    headers = await Signer(config.sigv4).headers(means.client, url, body, "sns", FORM, options)
    check(await request(notification, config, means, url, body, headers))


def _form(notification: Notification, texts: Texts, config: SnsConfig) -> list[tuple[str, str]]:
    topic, phone = texts.text(config.topic_arn), texts.text(config.phone_number)
    whole = texts.text(config.message)
    message = cut(whole, _SMS_MAX) if phone else cut_bytes(whole, _MESSAGE_BYTES_MAX)
    attributes = {texts.text(name): texts.text(value) for name, value in config.attributes.items()}
    if message != whole:
        attributes["truncated"] = "true"
    form = {"Action": "Publish", "Version": "2010-03-31", "Message": message, "TopicArn": topic, "PhoneNumber": phone}
    form["TargetArn"] = texts.text(config.target_arn)
    if config.subject:
        form["Subject"] = cut(texts.text(config.subject), _SUBJECT_MAX)
    if topic.endswith(".fifo"):
        form["MessageDeduplicationId"] = form["MessageGroupId"] = notification.key
    for at, (name, value) in enumerate(sorted(attributes.items()), 1):
        entry = f"MessageAttributes.entry.{at}"
        form |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
    return [(name, value) for name, value in sorted(form.items()) if value]
