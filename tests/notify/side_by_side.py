"""The real Alertmanager and ours with the same file and the same timeline: what each one's hook got, and when."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from tests.notify.peer import Hook, Received, Server, call, ours, real

FIRING = {"endsAt": "2099-01-01T00:00:00Z"}


@dataclass
class Pair:
    """Both servers; what is posted goes to both."""

    servers: tuple[Server, Server]
    folder: Path
    batch: list[dict[str, Any]] = field(default_factory=list)
    silences: dict[str, list[str]] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)  # since when an alert fires, for who says it again

    def time(self, ago_s: float = 0) -> str:
        when = datetime.now(UTC) - timedelta(seconds=ago_s)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def post(self, scenario: str, *alerts: dict[str, Any]) -> None:
        now = self.time()
        self.batch += [
            {"startsAt": one.pop("at", now), **one.pop("with", {}), "labels": {"s": scenario, **one}} for one in alerts
        ]

    def send(self) -> None:
        """Post what was gathered to both at once: their timers start together."""
        body, self.batch = self.batch, []
        for server in self.servers:
            assert call("POST", f"{server.url}/api/v2/alerts", body) == (200, b"")

    def silence(self, name: str, seconds: float, *, after_s: float = 0, **labels: str) -> None:
        """Silence by equality; a value that begins with =~, !~ or != is read as that operator."""
        matchers = [_matcher(key, value) for key, value in labels.items()]
        body = {"matchers": matchers, "startsAt": self.time(-after_s), "endsAt": self.time(-after_s - seconds)}
        body |= {"createdBy": "test", "comment": name}
        old = self.silences.get(name)
        self.silences[name] = []
        for at, server in enumerate(self.servers):
            own = {"id": old[at]} if old else {}
            status, answer = call("POST", f"{server.url}/api/v2/silences", body | own)
            assert status == 200, answer
            self.silences[name].append(orjson.loads(answer)["silenceID"])

    def expire(self, name: str) -> None:
        for server, number in zip(self.servers, self.silences[name], strict=True):
            assert call("DELETE", f"{server.url}/api/v2/silence/{number}")[0] == 200

    def reload(self, change: Callable[[str], str]) -> None:
        """Change both files and have them read again."""
        for side, server in zip(("real", "ours"), self.servers, strict=True):
            file = self.folder / side / "alertmanager.yml"
            file.write_text(change(file.read_text()))
            assert server.process is not None
            server.process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
        """End both as a service manager does, and start them on the same data."""
        for server in self.servers:
            assert server.process is not None
            server.process.terminate()
            server.process.wait(20)
        for server in self.servers:
            server.start()


def _matcher(name: str, value: str) -> dict[str, Any]:
    operator = value[:2] if value[:2] in ("=~", "!~", "!=") else ""
    return {
        "name": name,
        "value": value[len(operator) :],
        "isRegex": "~" in operator,
        "isEqual": "!" not in operator,
    }


def firing(**labels: str) -> dict[str, Any]:
    return {"with": dict(FIRING), **labels}


def over(pair: Pair, **labels: str) -> dict[str, Any]:
    return {"with": {"endsAt": pair.time(), "startsAt": pair.time(60)}, **labels}


Act = tuple[float, Callable[[Pair], None]]
Found = dict[str, dict[str, list[Received]]]


def play(
    folder: Path,
    config: Callable[[Hook], str],
    timeline: Sequence[Act],
    length_s: float,
    answers: Callable[[str, int], int] = lambda _path, _nth: 200,
) -> Found:
    """Let both live through a timeline; gives what each side's hook received, by path, times since the start."""
    hooks = {side: Hook(answers) for side in ("real", "ours")}
    with (
        real(folder / "real", config(hooks["real"])) as theirs,
        ours(folder / "ours", config(hooks["ours"])) as mine,
    ):
        pair, began = Pair((theirs, mine), folder), time.monotonic()
        for at_s, act in [*timeline, (length_s, lambda _pair: None)]:
            threading.Event().wait(max(began + at_s - time.monotonic(), 0))
            act(pair)
            pair.send()
        found: Found = {}
        for side, hook in hooks.items():
            hook.close()
            for one in hook.received:
                one.at_s -= began
                found.setdefault(one.path, {"real": [], "ours": []})[side].append(one)
    return found


class Played:
    """A timeline both lived through; it is played once more when a check fails, so that only what comes again fails.

    A busy machine moves a timer past a step of the timeline now and then, on either side.
    """

    def __init__(self, play_it: Callable[[], Found]) -> None:
        self._play_it = play_it
        self._found = play_it()

    def check(self, check: Callable[[Found], None]) -> None:
        try:
            check(self._found)
        except AssertionError:
            self._found = self._play_it()
            check(self._found)


def message(one: Received, *, made_up_ends: bool = False) -> dict[str, Any]:
    """Give a message without what cannot be equal: our own URL.

    made_up_ends  the end of an alert that was not said again is of each side's own making
    """
    body = {**one.body, "externalURL": ""}
    if made_up_ends:
        body["alerts"] = [
            {**alert, "endsAt": "T" if alert["status"] == "resolved" else alert["endsAt"]} for alert in body["alerts"]
        ]
    return body


def assert_same(sides: dict[str, list[Received]], *, slack_s: float = 1.5, made_up_ends: bool = False) -> None:
    """Refuse any difference in what was sent, in which order, and when."""

    def key(one: Received) -> tuple[Any, ...]:
        return one.body["groupKey"], one.at_s

    theirs, mine = (sorted(sides[side], key=key) for side in ("real", "ours"))
    shown = [
        [(round(one.at_s, 1), one.body["groupKey"], one.body["notification_reason"]) for one in side]
        for side in (theirs, mine)
    ]
    told = [[message(one, made_up_ends=made_up_ends) for one in side] for side in (mine, theirs)]
    assert told[0] == told[1], shown
    for ours_, theirs_ in zip(mine, theirs, strict=True):
        assert abs(ours_.at_s - theirs_.at_s) < slack_s, shown
        assert list(ours_.body) == list(theirs_.body)  # the order of fields, too
