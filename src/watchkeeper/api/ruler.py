"""The Loki ruler's API: rule groups on logs, by namespace, read and changed over HTTP.

source  Loki docs, HTTP API, Ruler
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
import yaml
from starlette.responses import Response

from watchkeeper.api.loki import text_error
from watchkeeper.model.document import Document, parse
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.routing import EDIT, READ, Call, Route
from watchkeeper.rules.files import RuleFile, parse_document
from watchkeeper.rules.language import LOGQL
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.store.rule_files import RuleFiles

log = structlog.get_logger(__name__)
Groups = list[dict[str, Any]]
_NAME_BYTES_MAX = 80  # percent-encoded it must be a file's name


class LogRules:
    """Namespaces of rule groups on logs, in memory and on the disk.

    groups_max  in all namespaces
    """

    def __init__(self, kept: RuleFiles, groups_max: int) -> None:
        self._kept, self._groups_max = kept, groups_max
        self._changing = asyncio.Lock()
        self.namespaces: dict[str, Groups] = {}
        for namespace, text in kept.read_all().items():
            try:
                self.namespaces[namespace] = _groups_of(parse(text, namespace))
            except BadInput as error:
                log.warning("log_rules_unreadable", namespace=namespace, error=str(error))

    def files(self) -> list[RuleFile]:
        """Give the groups as rule files named after their namespaces."""
        return [parse_document(_document(name, groups), LOGQL) for name, groups in self.namespaces.items()]

    async def put(self, namespace: str, body: bytes) -> None:
        """Add a group to a namespace, or replace the one of its name; on the disk when it returns.

        raises  BadInput when it is no good group, or there are too many; Refused when it cannot be written
        """
        content = parse(body, namespace).content
        if not isinstance(content, dict):
            raise BadInput("cannot read rule group: got no mapping, want name, interval and rules")
        parse_document(_document(namespace, [content]), LOGQL)
        async with self._changing:
            others = [one for one in self.namespaces.get(namespace, []) if one["name"] != content["name"]]
            count = sum(map(len, self.namespaces.values()))
            if len(others) == len(self.namespaces.get(namespace, [])) and count >= self._groups_max:
                raise BadInput(f"cannot add rule group: got {count} already, want at most {self._groups_max}")
            await self._write(namespace, [*others, content])

    async def remove(self, namespace: str, group: str | None = None) -> bool:
        """Remove a group, or a namespace with all its groups; False when there is none.

        raises  Refused when the disk does not take it
        """
        async with self._changing:
            before = self.namespaces.get(namespace, [])
            left = [one for one in before if group is not None and one["name"] != group]
            if len(left) == len(before):
                return False
            await self._write(namespace, left)
            return True

    async def _write(self, namespace: str, groups: Groups) -> None:
        try:
            if groups:
                await asyncio.to_thread(self._kept.write, namespace, _yaml({"groups": groups}))
                self.namespaces[namespace] = groups
            else:
                await asyncio.to_thread(self._kept.remove, namespace)
                self.namespaces.pop(namespace, None)
        except OSError as error:
            raise Refused(f"cannot write rules: {error.strerror}") from error


def _groups_of(document: Document) -> Groups:
    parse_document(document, LOGQL)
    return list(document.content["groups"])


def _document(name: str, groups: Groups) -> Document:
    return Document(name, {"groups": groups}, {(): 1})


def _yaml(content: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def routes(kept: LogRules, runner: RuleRunner, changed: Callable[[], Awaitable[None]]) -> list[Route]:
    """Give the ruler's routes.

    changed  has the rules evaluated as they are now
    """
    api = _Ruler(kept, runner, changed)
    base = "/loki/api/v1/rules"
    table = [
        (base, "GET", api.every, READ, "List rule groups on logs, as YAML"),
        (base + "/{namespace}", "GET", api.namespace, READ, "List a namespace's rule groups on logs"),
        (base + "/{namespace}/{group}", "GET", api.group, READ, "Give a rule group on logs"),
        (base + "/{namespace}", "POST", api.put, EDIT, "Add or replace a rule group on logs"),
        (base + "/{namespace}/{group}", "DELETE", api.remove, EDIT, "Remove a rule group on logs"),
        (base + "/{namespace}", "DELETE", api.remove, EDIT, "Remove a namespace's rule groups on logs"),
        ("/prometheus/api/v1/rules", "GET", api.rules, READ, "Rules on logs and their state, as Prometheus shows them"),
        ("/prometheus/api/v1/alerts", "GET", api.alerts, READ, "Alerts of rules on logs"),
    ]
    return [
        Route(path, (method,), handler, access, summary, error=text_error)
        for path, method, handler, access, summary in table
    ]


class _Ruler:
    def __init__(self, kept: LogRules, runner: RuleRunner, changed: Callable[[], Awaitable[None]]) -> None:
        self._kept, self._runner, self._changed = kept, runner, changed

    async def every(self, _call: Call) -> Response:
        if not self._kept.namespaces:
            raise Fault(404, "no rule groups found")
        return _yaml_answer(self._kept.namespaces)

    async def namespace(self, call: Call) -> Response:
        name = call.path["namespace"]
        if name not in self._kept.namespaces:
            raise Fault(404, "no rule groups found")
        return _yaml_answer({name: self._kept.namespaces[name]})

    async def group(self, call: Call) -> Response:
        for one in self._kept.namespaces.get(call.path["namespace"], []):
            if one["name"] == call.path["group"]:
                return _yaml_answer(one)
        raise Fault(404, "group does not exist")

    async def put(self, call: Call) -> Response:
        namespace = call.path["namespace"]
        if len(namespace.encode()) > _NAME_BYTES_MAX:
            raise Fault(400, f"cannot read namespace: got {len(namespace.encode())} bytes, want {_NAME_BYTES_MAX}")
        await self._kept.put(namespace, call.body)
        await self._changed()
        return _accepted()

    async def remove(self, call: Call) -> Response:
        if not await self._kept.remove(call.path["namespace"], call.path.get("group")):
            raise Fault(404, "group does not exist" if "group" in call.path else "no rule groups found")
        await self._changed()
        return _accepted()

    async def rules(self, call: Call) -> Response:
        return json_answer({"status": "success", "data": self._runner.rules_json(call.params, LOGQL)})

    async def alerts(self, _call: Call) -> Response:
        return json_answer({"status": "success", "data": self._runner.alerts_json(LOGQL)})


def _yaml_answer(content: Mapping[str, Any]) -> Response:
    return Response(_yaml(content), media_type="application/yaml")


def _accepted() -> Response:
    return json_answer({"status": "success", "data": None, "errorType": "", "error": ""}, 202)
