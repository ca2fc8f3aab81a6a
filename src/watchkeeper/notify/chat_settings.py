"""Receivers of alertmanager.yml that speak in chats: Slack, Teams, Discord, Telegram, Webex, WeChat and others."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Secret, Several, Text
from watchkeeper.notify.field_types import Duration, SecretUrl, Url
from watchkeeper.notify.receiver_settings import HttpReceiverSettings, default

SLACK_POSTS = "https://slack.com/api/chat.postMessage"


class SlackField(Settings):
    """A field of an attachment."""

    title: Text = setting("", "Title.")
    value: Text = setting("", "Value.")
    short: bool | None = setting(None, "Whether there is room for another beside it.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.title:
            raise ValueError("missing title in Slack field configuration")
        if not self.value:
            raise ValueError("missing value in Slack field configuration")
        return self


class SlackConfirmation(Settings):
    """What is asked before an action."""

    text: Text = setting("", "Text.")
    title: Text = setting("", "Title.")
    ok_text: Text = setting("", "Text of the button that confirms.")
    dismiss_text: Text = setting("", "Text of the other.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.text:
            raise ValueError("missing text in Slack confirmation configuration")
        return self


class SlackAction(Settings):
    """A button."""

    type: Text = setting("", "button.")
    text: Text = setting("", "Its text.")
    url: Text = setting("", "Where it leads.")
    style: Text = setting("", "primary or danger.")
    name: Text = setting("", "Name.")
    value: Text = setting("", "Value.")
    confirm: SlackConfirmation | None = setting(None, "What is asked first.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.type:
            raise ValueError("missing type in Slack action configuration")
        if not self.text:
            raise ValueError("missing text in Slack action configuration")
        if not self.url and not self.name:
            raise ValueError("missing name or url in Slack action configuration")
        return self


class SlackConfig(HttpReceiverSettings):
    """Posts to Slack: an incoming webhook, or an app's token."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_url": "slack_api_url",
        "api_url_file": "slack_api_url_file",
        "app_token": "slack_app_token",
        "app_token_file": "slack_app_token_file",
        "app_url": "slack_app_url",
    }
    wanted = (
        (
            ("api_url", "api_url_file", "app_token", "app_token_file"),
            "no Slack API URL nor App token set either inline or in a file",
        ),
    )
    exclusive = (("api_url", "api_url_file"), ("app_token", "app_token_file"))
    send_resolved: bool = setting(False, "Whether to tell when alerts are over.")
    api_url: SecretUrl | None = setting(None, "The incoming webhook.")
    api_url_file: Text = setting("", "A file that holds it.")
    app_token: Secret | None = setting(None, "An app's token.")
    app_token_file: Text = setting("", "A file that holds it.")
    app_url: Url = setting("", "Where an app's messages are posted.")
    channel: Text = setting("", "Channel or user.")
    username: Text = setting(default("slack.default.username"), "Who speaks.")
    color: Text = setting(default("slack.default.color"), "Colour of the bar.")
    title: Text = setting(default("slack.default.title"), "Title.")
    title_link: Text = setting(default("slack.default.titlelink"), "Where it leads.")
    pretext: Text = setting(default("slack.default.pretext"), "Text above.")
    text: Text = setting(default("slack.default.text"), "Text.")
    fields: Several[SlackField] = setting((), "Fields.")
    short_fields: bool = setting(False, "Whether fields stand side by side.")
    footer: Text = setting(default("slack.default.footer"), "Text below.")
    fallback: Text = setting(default("slack.default.fallback"), "Text for those who see no attachment.")
    callback_id: Text = setting(default("slack.default.callbackid"), "Identifier for actions.")
    icon_emoji: Text = setting(default("slack.default.iconemoji"), "Emoji beside the name.")
    icon_url: Text = setting(default("slack.default.iconurl"), "Picture beside the name.")
    image_url: Text = setting("", "A picture below.")
    thumb_url: Text = setting("", "A small picture.")
    link_names: bool = setting(False, "Whether @names become mentions.")
    mrkdwn_in: Several[str] = setting((), "Fields with markup.")
    message_text: Text = setting("", "Text outside of the attachment.")
    actions: Several[SlackAction] = setting((), "Buttons.")
    update_message: bool = setting(
        False, f"Whether a group's later news change its first message; a bot's, with api_url {SLACK_POSTS}."
    )
    timeout: Duration = setting(0, "For the whole request; 0 is as long as the group has.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.api_url or self.api_url_file) and (self.app_token or self.app_token_file):
            raise ValueError("at most one of api_url/api_url_file & app_token/app_token_file must be configured")
        if self.update_message and (self.api_url is None or self.api_url.get_secret_value() != SLACK_POSTS):
            raise ValueError(f"update_message can only be used with bot tokens. api_url must be set to {SLACK_POSTS}")
        return self


class TelegramConfig(HttpReceiverSettings):
    """Sends by a bot of Telegram."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_url": "telegram_api_url",
        "bot_token": "telegram_bot_token",
        "bot_token_file": "telegram_bot_token_file",
    }
    wanted = (
        (("bot_token", "bot_token_file"), "missing bot_token or bot_token_file on telegram_config"),
        (("chat_id", "chat_id_file"), "missing chat_id or chat_id_file on telegram_config"),
    )
    exclusive = (("bot_token", "bot_token_file"), ("chat_id", "chat_id_file"))
    api_url: Url = setting("", "Where the API is.")
    bot_token: Secret | None = setting(None, "The bot's token.")
    bot_token_file: Text = setting("", "A file that holds it.")
    chat_id: int = setting(0, "Which chat.")
    chat_id_file: Text = setting("", "A file that holds it.")
    message_thread_id: int = setting(0, "Which topic of it.")
    message: Text = setting(default("telegram.default.message"), "Text.")
    disable_notifications: bool = setting(False, "Whether to make no sound.")
    parse_mode: Text = setting("HTML", "MarkdownV2, Markdown, HTML or nothing.")

    @model_validator(mode="after")
    def _known_mode(self) -> Self:
        if self.parse_mode not in ("", "Markdown", "MarkdownV2", "HTML"):
            raise ValueError(
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string"
            )
        return self


class DiscordConfig(HttpReceiverSettings):
    """Posts to a webhook of Discord."""

    wanted = ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),)
    exclusive = (("webhook_url", "webhook_url_file"),)
    webhook_url: SecretUrl | None = setting(None, "The webhook.")
    webhook_url_file: Text = setting("", "A file that holds it.")
    content: Text = setting("", "Text above.")
    title: Text = setting(default("discord.default.title"), "Title.")
    message: Text = setting(default("discord.default.message"), "Text.")
    username: Text = setting("", "Who speaks.")
    avatar_url: Text = setting("", "Picture of who speaks.")


class WebexConfig(HttpReceiverSettings):
    """Posts to a room of Webex."""

    from_global: ClassVar[Mapping[str, str]] = {"api_url": "webex_api_url"}
    wanted = ((("room_id",), "missing room_id on webex_config"),)
    api_url: Url = setting("", "Where the API is.")
    message: Text = setting(default("webex.default.message"), "Text.")
    room_id: Text = setting("", "Which room.")

    @model_validator(mode="after")
    def _authorized(self) -> Self:
        if self.http_config is None or self.http_config.authorization is None:
            raise ValueError("missing webex_configs.http_config.authorization")
        return self


class MsteamsConfig(HttpReceiverSettings):
    """Posts a card to a connector of Microsoft Teams."""

    wanted = ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),)
    exclusive = (("webhook_url", "webhook_url_file"),)
    webhook_url: SecretUrl | None = setting(None, "The connector.")
    webhook_url_file: Text = setting("", "A file that holds it.")
    title: Text = setting(default("msteams.default.title"), "Title.")
    summary: Text = setting(default("msteams.default.summary"), "Summary.")
    text: Text = setting(default("msteams.default.text"), "Text.")


class Msteamsv2Config(HttpReceiverSettings):
    """Posts an adaptive card to a workflow of Microsoft Teams."""

    wanted = ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),)
    exclusive = (("webhook_url", "webhook_url_file"),)
    webhook_url: SecretUrl | None = setting(None, "The workflow.")
    webhook_url_file: Text = setting("", "A file that holds it.")
    title: Text = setting(default("msteamsv2.default.title"), "Title.")
    text: Text = setting(default("msteamsv2.default.text"), "Text.")


class WechatConfig(HttpReceiverSettings):
    """Sends by WeChat Work."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_secret": "wechat_api_secret",
        "api_secret_file": "wechat_api_secret_file",
        "corp_id": "wechat_api_corp_id",
        "api_url": "wechat_api_url",
    }
    wanted = (
        (("api_secret", "api_secret_file"), "no global Wechat Api Secret set either inline or in a file"),
        (("corp_id",), "no global Wechat CorpID set"),
    )
    exclusive = (("api_secret", "api_secret_file"),)
    send_resolved: bool = setting(False, "Whether to tell when alerts are over.")
    api_secret: Secret | None = setting(None, "The application's secret.")
    api_secret_file: Text = setting("", "A file that holds it.")
    corp_id: Text = setting("", "The company.")
    message: Text = setting(default("wechat.default.message"), "Text.")
    api_url: Url = setting("", "Where the API is.")
    to_user: Text = setting(default("wechat.default.to_user"), "Users.")
    to_party: Text = setting(default("wechat.default.to_party"), "Departments.")
    to_tag: Text = setting(default("wechat.default.to_tag"), "Tags.")
    agent_id: Text = setting(default("wechat.default.agent_id"), "The application.")
    message_type: Text = setting("text", "text or markdown.")

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        if self.message_type not in ("text", "markdown"):
            raise ValueError(
                f'weChat message type "{self.message_type}" does not match valid options ^(text|markdown)$'
            )
        return self


class AttachmentField(Settings):
    """A field of an attachment."""

    title: Text = setting("", "Title.")
    value: Text = setting("", "Value.")
    short: bool | None = setting(None, "Whether there is room for another beside it.")


class RocketchatAction(Settings):
    """A button."""

    type: Text = setting("", "button.")
    text: Text = setting("", "Its text.")
    url: Text = setting("", "Where it leads.")
    msg: Text = setting("", "What it says.")
    is_webview: bool = setting(False, "Whether it opens in Rocket.Chat.")
    msg_in_chat_window: bool = setting(False, "Whether what it says is sent to the room.")


class RocketchatConfig(HttpReceiverSettings):
    """Posts to Rocket.Chat."""

    from_global: ClassVar[Mapping[str, str]] = {
        "api_url": "rocketchat_api_url",
        "token": "rocketchat_token",
        "token_file": "rocketchat_token_file",
        "token_id": "rocketchat_token_id",
        "token_id_file": "rocketchat_token_id_file",
    }
    exclusive = (("token", "token_file"), ("token_id", "token_id_file"))
    wanted = (
        (("token_id", "token_id_file"), "no global Rocketchat TokenID set either inline or in a file"),
        (("token", "token_file"), "no global Rocketchat Token set either inline or in a file"),
    )
    send_resolved: bool = setting(False, "Whether to tell when alerts are over.")
    api_url: Url = setting("", "Where the API is.")
    token_id: Secret | None = setting(None, "The user's id.")
    token_id_file: Text = setting("", "A file that holds it.")
    token: Secret | None = setting(None, "The token.")
    token_file: Text = setting("", "A file that holds it.")
    channel: Text = setting("", "Channel.")
    color: Text = setting('{{ if eq .Status "firing" }}red{{ else }}green{{ end }}', "Colour of the bar.")
    title: Text = setting(default("rocketchat.default.title"), "Title.")
    title_link: Text = setting(default("rocketchat.default.titlelink"), "Where it leads.")
    text: Text = setting(default("rocketchat.default.text"), "Text.")
    fields: Several[AttachmentField] = setting((), "Fields.")
    short_fields: bool = setting(False, "Whether fields stand side by side.")
    emoji: Text = setting(default("rocketchat.default.emoji"), "Emoji beside the name.")
    icon_url: Text = setting(default("rocketchat.default.iconurl"), "Picture beside the name.")
    image_url: Text = setting("", "A picture below.")
    thumb_url: Text = setting("", "A small picture.")
    link_names: bool = setting(False, "Whether @names become mentions.")
    actions: Several[RocketchatAction] = setting((), "Buttons.")


class MattermostField(AttachmentField):
    """A field of an attachment; neither of its texts may be missing."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in ("title", "value"):
            if not getattr(self, name):
                raise ValueError(f"missing {name} in Mattermost field configuration")
        return self


class MattermostPriority(Settings):
    """How urgent a message is."""

    priority: Text = setting("", "standard, important or urgent.")
    requested_ack: bool = setting(False, "Whether to ask that it be acknowledged.")
    persistent_notifications: bool = setting(False, "Whether to notify until it is.")


class MattermostProps(Settings):
    """Further properties."""

    card: Text = setting("", "Text shown in the side bar.")


class MattermostAttachment(Settings):
    """An attachment beside the text; nothing in it has a default."""

    fallback: Text = setting("", "Text for those who see no attachment.")
    color: Text = setting("", "Colour of the bar.")
    pretext: Text = setting("", "Text above.")
    text: Text = setting("", "Text.")
    author_name: Text = setting("", "Author.")
    author_link: Text = setting("", "Where that leads.")
    author_icon: Text = setting("", "Picture beside the author.")
    title: Text = setting("", "Title.")
    title_link: Text = setting("", "Where it leads.")
    fields: Several[MattermostField] = setting((), "Fields.")
    thumb_url: Text = setting("", "A small picture.")
    footer: Text = setting("", "Text below.")
    footer_icon: Text = setting("", "Picture beside it.")
    image_url: Text = setting("", "A picture below.")


class MattermostConfig(HttpReceiverSettings):
    """Posts to an incoming webhook of Mattermost."""

    from_global: ClassVar[Mapping[str, str]] = {
        "webhook_url": "mattermost_webhook_url",
        "webhook_url_file": "mattermost_webhook_url_file",
    }
    exclusive = (("webhook_url", "webhook_url_file"),)
    wanted = ((("webhook_url", "webhook_url_file"), "missing webhook_url or webhook_url_file on mattermost_config"),)
    webhook_url: SecretUrl | None = setting(None, "The webhook.")
    webhook_url_file: Text = setting("", "A file that holds it.")
    channel: Text = setting("", "Channel.")
    username: Text = setting(default("mattermost.default.username"), "Who speaks.")
    text: Text = setting(default("mattermost.default.text"), "Text.")
    fallback: Text = setting(default("mattermost.default.fallback"), "Text for those who see no attachment.")
    color: Text = setting(default("mattermost.default.color"), "Colour of the bar.")
    pretext: Text = setting("", "Text above.")
    author_name: Text = setting("", "Author.")
    author_link: Text = setting("", "Where that leads.")
    author_icon: Text = setting("", "Picture beside the author.")
    title: Text = setting(default("mattermost.default.title"), "Title.")
    title_link: Text = setting(default("mattermost.default.titlelink"), "Where it leads.")
    fields: Several[MattermostField] = setting((), "Fields.")
    thumb_url: Text = setting("", "A small picture.")
    footer: Text = setting("", "Text below.")
    footer_icon: Text = setting("", "Picture beside it.")
    image_url: Text = setting("", "A picture below.")
    icon_url: Text = setting("", "Picture beside the name.")
    icon_emoji: Text = setting("", "Emoji beside the name.")
    type: Text = setting("", "Type of the post.")
    props: MattermostProps | None = setting(None, "Further properties.")
    priority: MattermostPriority | None = setting(None, "How urgent it is.")
    attachments: Several[MattermostAttachment] = setting(
        (), "Attachments; without any, the fields above from fallback to image_url are one."
    )
