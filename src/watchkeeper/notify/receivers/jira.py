"""Makes, renews, resolves and reopens an issue of Jira; a label with the group's key finds it again.

source  github.com/prometheus/alertmanager, notify/jira; Jira, REST API 2 and 3
"""

from typing import Any

import orjson

from watchkeeper.model.errors import NotDelivered
from watchkeeper.notify.notification import Means, Notification, Texts
from watchkeeper.notify.post import check, cut, joined, post_json
from watchkeeper.notify.post import send as request
from watchkeeper.notify.ticket_settings import JiraConfig

_SUMMARY_MAX, _DESCRIPTION_MAX = 255, 32_767
_NO_CONTENT = 204


async def send(notification: Notification, config: JiraConfig, means: Means) -> None:
    """Deliver one notification.

    raises  NotDelivered; 429, 5xx and network errors may pass
    """
    await _Issue(notification, config, means).told()


class _Issue:
    """One group's issue."""

    def __init__(self, notification: Notification, config: JiraConfig, means: Means) -> None:
        self._notification, self._config, self._means = notification, config, means
        self._texts: Texts = means.texts(notification)
        self._label = f"ALERT{{{notification.key}}}"

    async def told(self) -> None:
        """Bring the issue up to date."""
        known = await self._find()
        if known is None:
            if self._notification.is_firing:
                await self._ask("POST", "issue", self._fields(new=True))
            return
        await self._ask("PUT", f"issue/{known['key']}", self._fields(new=False))
        await self._move(known)

    async def _find(self) -> dict[str, Any] | None:
        config, wanted = self._config, []
        if config.wont_fix_resolution:
            wanted.append(f'resolution != "{self._texts.text(config.wont_fix_resolution)}"')
        if self._notification.is_firing:
            if config.reopen_transition:
                if config.reopen_duration:
                    minutes = config.reopen_duration // 60_000
                    wanted.append(f"(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m)")
            else:
                wanted.append("statusCategory != Done")
        else:
            wanted.append("statusCategory != Done")
        project = self._texts.text(config.project)
        wanted += [f'project="{project}"', f'labels="{self._label}"']
        query = " and ".join(wanted) + " order by status ASC,resolutiondate DESC"
        path = "search/jql" if self._is_cloud() else "search"
        message = {"jql": query, "maxResults": 2, "fields": ["status"]}
        said = await self._ask("POST", path, message)
        issues = said.get("issues") or []
        return issues[0] if issues else None

    def _is_cloud(self) -> bool:
        config = self._config
        return config.api_type == "cloud" or (config.api_type == "auto" and ".atlassian.net" in config.api_url)

    def _fields(self, *, new: bool) -> dict[str, Any]:
        config, texts = self._config, self._texts
        fields: dict[str, Any] = {}
        if new:
            fields["project"] = {"key": texts.text(config.project)}
            fields["issuetype"] = {"name": texts.text(config.issue_type)}
        if new or config.summary.enable_update is not False:
            fields["summary"] = cut(texts.text(config.summary.template), _SUMMARY_MAX)
        if new or config.description.enable_update is not False:
            text = cut(texts.text(config.description.template), _DESCRIPTION_MAX)
            if "/3" in config.api_url:
                try:
                    fields["description"] = orjson.loads(text)
                except ValueError:
                    fields["description"] = _document(text)
            elif text:
                fields["description"] = text
        fields["labels"] = sorted({*(texts.text(one) for one in config.labels), self._label})
        priority = texts.text(config.priority)
        if priority:
            fields["priority"] = {"name": priority}
        fields |= texts.deep(config.fields)
        return {"fields": fields}

    async def _move(self, issue: dict[str, Any]) -> None:
        config = self._config
        done = issue["fields"]["status"].get("statusCategory", {}).get("key") == "done"
        if self._notification.is_firing and done:
            wanted = self._texts.text(config.reopen_transition)
        elif not self._notification.is_firing and not done:
            wanted = self._texts.text(config.resolve_transition)
        else:
            return
        if not wanted:
            return
        said = await self._ask("GET", f"issue/{issue['key']}/transitions", None)
        for one in said.get("transitions", []):
            if one.get("name") == wanted:
                await self._ask("POST", f"issue/{issue['key']}/transitions", {"transition": {"id": one["id"]}})
                return
        raise NotDelivered(f"can't find transition {wanted} for issue {issue['key']}", permanent=True)

    async def _ask(self, method: str, path: str, message: dict[str, Any] | None) -> dict[str, Any]:
        url = joined(self._config.api_url, path)
        headers = {"Accept-Language": "en", "Content-Type": "application/json"}
        notification, config, means = self._notification, self._config, self._means
        if message is None:
            reply = await request(notification, config, means, url, b"", headers, method)
        else:
            reply = await post_json(notification, config, means, url, message, headers, method)
        check(reply, (429,))
        try:
            said = orjson.loads(reply.body) if reply.body and reply.status != _NO_CONTENT else {}
        except ValueError:
            raise NotDelivered("cannot read the answer: got no JSON", permanent=True) from None
        return said if isinstance(said, dict) else {}


def _document(text: str) -> dict[str, Any]:
    """Give a text as Atlassian's document format."""
    return {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }
