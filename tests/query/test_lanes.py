"""Few queries compute at once, in turns; nobody waits for ever."""

import threading
import time

import pytest

from watchkeeper.query import lanes as lanes_module
from watchkeeper.query.lanes import Lanes


def test_no_more_compute_at_once_than_there_are_lanes() -> None:
    lanes, lock, now, most = Lanes(2), threading.Lock(), 0, 0

    def compute() -> None:
        nonlocal now, most
        with lanes.taken():
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

    threads = [threading.Thread(target=compute) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    with lanes.taken(), lanes.taken():
        assert not lanes.wanted


def test_a_short_query_passes_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "_SLICE_S", 0.0)
    lanes, done = Lanes(1), threading.Event()

    def short() -> None:
        with lanes.taken():
            done.set()

    with lanes.taken() as lane:
        thread = threading.Thread(target=short)
        thread.start()
        while not done.is_set():  # the long one, between its parts
            lane.give_way()
        thread.join()


def test_who_waits_for_a_lock_holder_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "_SLICE_S", 0.0)
    monkeypatch.setattr(lanes_module, "_PATIENCE_S", 0.01)
    lanes, shared, began = Lanes(1), threading.Lock(), threading.Event()
    reached = []

    def needs_the_lock() -> None:
        began.set()
        with lanes.taken(), shared:
            reached.append("other")

    with lanes.taken() as lane, shared:
        thread = threading.Thread(target=needs_the_lock)
        thread.start()
        began.wait()
        while not lanes.wanted:
            time.sleep(0)
        lane.give_way()  # the other has the lane now, and waits for the lock
        reached.append("first")
    thread.join()
    assert reached == ["first", "other"]
    with lanes.taken():
        assert not lanes.wanted
