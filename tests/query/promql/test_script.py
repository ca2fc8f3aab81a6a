"""Scripts in Prometheus' test language: our own golden ones, and as many of Prometheus' as this version answers."""

from pathlib import Path

import pytest

from watchkeeper.model.errors import BadInput
from watchkeeper.query.promql.script import Script, read_metric, read_sequence, run_files

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "tests/golden/promql").glob("*.test"))
UPSTREAM = ROOT.parent / "shared/promqltest"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_script_passes(path: Path) -> None:
    verdicts = run_files([path])
    assert verdicts
    assert not [verdict for verdict in verdicts if verdict.outcome != "pass"]


def _upstream() -> list[Path]:
    return sorted(UPSTREAM.glob("*.test")) if UPSTREAM.exists() else []


@pytest.mark.parametrize("path", _upstream(), ids=lambda path: path.name)
def test_upstream_script_passes_but_for_native_histograms(path: Path) -> None:
    failed = [verdict for verdict in run_files([path]) if verdict.outcome == "fail"]
    native = ("</ ", ">/ ", "start_timestamp(")  # operators and a function of native histograms and start timestamps
    assert not [one for one in failed if not any(part in one.expr for part in native)]


def test_upstream_scripts_are_there() -> None:
    if not _upstream():
        pytest.skip(f"no scripts at {UPSTREAM}")


def test_a_wrong_answer_fails() -> None:
    (verdict,) = Script("x", "load 1m\n  a 1\neval instant at 0 a\n  a 2\n").run()
    assert verdict.outcome == "fail"
    assert "got [(0, 1.0)], want [(0, 2.0)]" in verdict.detail


def test_native_histograms_are_said_to_be_unsupported() -> None:
    (verdict,) = Script("x", "load 1m\n  a {{count:1}}\neval instant at 0 a\n  a 2\n").run()
    assert verdict.outcome == "unsupported"


def test_sequences_expand() -> None:
    assert read_sequence("1 _ -2+3x2 _x2 0+0x1 1e3") == [1, None, -2, 1, 4, None, None, 0, 0, 1000]
    with pytest.raises(BadInput, match="at most"):
        read_sequence("0x999999999")


def test_a_huge_sequence_is_refused_before_it_is_built() -> None:
    with pytest.raises(BadInput):
        read_sequence("1+1x99999999999")


def test_metrics_are_read() -> None:
    assert read_metric('{"a.b", c="d\\"e"} 1') == ((("__name__", "a.b"), ("c", 'd"e')), "1")
