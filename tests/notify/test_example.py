"""The ready example of who is told of what: its files are good, and its own tests pass."""

from pathlib import Path

from watchkeeper.app.config import load
from watchkeeper.notify.route_tests import run_route_tests

EXAMPLE = Path(__file__).parents[2] / "examples/on-call"


def test_the_example_loads_and_its_routes_are_as_it_says() -> None:
    loaded = load(EXAMPLE)
    assert [one.to for one in loaded.own.on_call.escalations] == ["team-lead"]
    outcome = run_route_tests(EXAMPLE / "routes_test.yml")
    assert (outcome.tests, outcome.failures) == (7, ())
