"""Processes on one real PostgreSQL: each notification goes out once, whoever dies or is cut off."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_connection, create_server, socket
from typing import Any

import orjson
import pytest
from tests.notify.peer import Hook, Server, call, ours
from tests.notify.test_kill import stamp
from tests.postgres import Postgres
from tests.waiting import wait_until

CONFIG = """
route: {receiver: web, group_by: [n], group_wait: 300ms, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: web, webhook_configs: [{url: 'HOOK/x'}]}]
"""


class Proxy:
    """A TCP proxy that can be cut: what is connected then goes nowhere, without an end or a reset."""

    def __init__(self, port: int) -> None:
        self._port, self._listener = port, create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.whole = threading.Event()
        self.whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = create_connection(("127.0.0.1", self._port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket, other: socket) -> None:
        try:
            while data := one.recv(65536):
                self.whole.wait()
                other.sendall(data)
        except OSError:
            pass
        finally:
            other.close()

    def close(self) -> None:
        self.whole.set()
        self._listener.close()


@contextmanager
def cluster(folder: Path, hook: Hook, *urls: str) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        config = CONFIG.replace("HOOK", hook.url)
        yield [stack.enter_context(ours(folder / str(at), config, url)) for at, url in enumerate(urls)]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


def post(server: Server, *names: str, ends_s: float = 3600, starts_s: float = 0) -> None:
    alerts = [
        {"labels": {"alertname": "A", "n": name}, "startsAt": stamp(starts_s), "endsAt": stamp(ends_s)}
        for name in names
    ]
    assert call("POST", f"{server.url}/api/v2/alerts", alerts)[0] == 200


def get(server: Server, path: str) -> Any:
    return orjson.loads(call("GET", f"{server.url}/api/v2{path}")[1])


def told(hook: Hook, status: str = "firing") -> list[str]:
    return [one.body["groupLabels"]["n"] for one in hook.received if one.body["status"] == status]


def test_each_notification_goes_out_once_and_all_know_all(tmp_path: Path, postgres: Postgres, hook: Hook) -> None:
    url = postgres.database()
    with cluster(tmp_path, hook, url, url, url) as members:
        names = [str(at) for at in range(24)]
        for at, server in enumerate(members):
            post(server, *names[at::3])
            post(server, *names[:5])  # told of by all of them, as several Prometheus servers would
        wait_until("all to be told", lambda: set(told(hook)) == set(names))
        wait_until("all to know all", lambda: [len(get(one, "/alerts")) for one in members] == [24, 24, 24])
        silence = {
            "matchers": [{"name": "n", "value": "quiet", "isRegex": False}],
            "startsAt": stamp(0), "endsAt": stamp(3600), "createdBy": "me", "comment": "why",
        }  # fmt: skip
        assert call("POST", f"{members[0].url}/api/v2/silences", silence)[0] == 200
        wait_until("the silence to be known", lambda: len(get(members[2], "/silences")) == 1)
        post(members[2], "quiet")
        peers = [{one["address"] for one in get(server, "/status")["cluster"]["peers"]} for server in members]
        assert peers == [{one.url for one in members}] * 3
        assert get(members[1], "/status")["cluster"]["status"] == "ready"
        post(members[1], *names, ends_s=0, starts_s=-10)
        wait_until("all ends to be told", lambda: set(told(hook, "resolved")) == set(names))
        threading.Event().wait(2.5)  # one more interval of every member, in which nothing may come again
        assert sorted(told(hook)) == sorted(names)
        assert sorted(told(hook, "resolved")) == sorted(names)


def test_one_killed_amid_sending_is_stood_in_for_within_an_interval(tmp_path: Path, postgres: Postgres) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def answer(_path: str, nth: int) -> int:
        if nth == 0:
            reached.set()
            go_on.wait(20)  # the first hangs until its sender is dead
            return 500
        return 200

    url, hook = postgres.database(), Hook(answer)
    with cluster(tmp_path, hook, url, url) as members:
        post(members[0], "a")
        assert reached.wait(10)
        sender = hook.received[0].body["externalURL"]
        dead, other = sorted(members, key=lambda one: one.url != sender)
        wait_until("the other to know the alert", lambda: get(other, "/alerts"))
        first = hook.received[0].at_s
        dead.kill()
        wait_until("the other to tell", lambda: len(hook.received) > 1)
        assert hook.received[1].at_s - first <= 2.0 + 1.5  # a group interval, and what the test itself takes
        go_on.set()
        threading.Event().wait(2.5)
        assert len(hook.received) == 2  # the one that was cut short, and the one that counts
    hook.close()


def test_one_that_is_cut_off_tells_nothing_twice_and_catches_up(tmp_path: Path, postgres: Postgres, hook: Hook) -> None:
    url, proxy = postgres.database(), Proxy(postgres.port)
    with cluster(tmp_path, hook, url.replace(f":{postgres.port}/", f":{proxy.port}/"), url) as (cut, whole):
        post(cut, "before")
        wait_until("the first to be told", lambda: told(hook) == ["before"])
        wait_until("both to know", lambda: len(get(whole, "/alerts")) == 1)
        proxy.whole.clear()
        post(whole, "during")
        wait_until("the other to tell", lambda: told(hook) == ["before", "during"])
        threading.Thread(target=lambda: post_anyway(cut, "during", "alone"), daemon=True).start()
        threading.Event().wait(3)
        assert told(hook) == ["before", "during"]  # who cannot ask does not tell
        proxy.whole.set()
        wait_until("what it alone knew to be told", lambda: sorted(told(hook)) == ["alone", "before", "during"])
        threading.Event().wait(2.5)
        assert sorted(told(hook)) == ["alone", "before", "during"]
    proxy.close()


def post_anyway(server: Server, *names: str) -> None:
    alerts = [{"labels": {"alertname": "A", "n": name}, "endsAt": stamp(3600)} for name in names]
    call("POST", f"{server.url}/api/v2/alerts", alerts)
