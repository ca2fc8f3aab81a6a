"""Scripts in Prometheus' test language: our own golden ones, and as many of Prometheus' as this version answers."""

from pathlib import Path

import pytest

from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import Histogram
from watchkeeper.query.promql.notation import Key, Sample, read_metric, read_samples, read_sequence, with_custom_buckets
from watchkeeper.query.promql.script import Script, run_files

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "tests/golden/promql").glob("*.test"))
UPSTREAM = (
    next((one for one in ROOT.parents if (one / "shared/promqltest").exists()), ROOT.parent) / "shared/promqltest"
)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_script_passes(path: Path) -> None:
    verdicts = run_files([path])
    assert verdicts
    assert not [verdict for verdict in verdicts if verdict.outcome != "pass"]


def _upstream() -> list[Path]:
    return sorted(UPSTREAM.glob("*.test")) if UPSTREAM.exists() else []


@pytest.mark.parametrize("path", _upstream(), ids=lambda path: path.name)
def test_upstream_script_passes(path: Path) -> None:
    assert not [one for one in run_files([path]) if one.outcome != "pass"]


def test_upstream_scripts_are_there() -> None:
    if not _upstream():
        pytest.skip(f"no scripts at {UPSTREAM}")


def test_a_wrong_answer_fails() -> None:
    (verdict,) = Script("x", "load 1m\n  a 1\neval instant at 0 a\n  a 2\n").run()
    assert verdict.outcome == "fail"
    assert "got [(0, 1.0)], want [(0, 2.0)]" in verdict.detail


def test_a_wrong_histogram_fails() -> None:
    (verdict,) = Script("x", "load 1m\n  a {{count:1 sum:2}}\neval instant at 0 a\n  a {{count:1 sum:3}}\n").run()
    assert "got [(0, '{count:1, sum:2} UNKNOWN')], want [(0, '{count:1, sum:3} UNKNOWN')]" in verdict.detail


def test_a_start_timestamp_that_cannot_be_read_is_named() -> None:
    with pytest.raises(BadInput, match="cannot read start timestamp '-1m-'"):
        Script("x", "load 1m\n  a@st -1m-\n  a 1\n").run()


def test_histograms_expand() -> None:
    first, second, third, none = read_samples("{{count:1 sum:2}}+{{count:1}}x2 _")
    assert [one.count for one in (first, second, third) if isinstance(one, Histogram)] == [1, 2, 3]
    assert none is None
    with pytest.raises(BadInput, match="one kind"):
        read_samples("{{count:1}}+{{schema:-53 custom_values:[1]}}x2")


def test_classic_buckets_become_native_ones() -> None:
    series: dict[Key, list[tuple[int, Sample]]] = {(("__name__", "a_sum"),): [(0, 7.5)]}
    for bound, count in (("1", 2.0), ("+Inf", 5.0)):
        series[("__name__", "a_bucket"), ("le", bound)] = [(0, count)]
    (((key, ((_, made),)),)) = with_custom_buckets(series).items()
    assert key == (("__name__", "a"),)
    assert made == read_samples("{{schema:-53 count:5 sum:7.5 custom_values:[1] buckets:[2 3]}}")[0]


def test_sequences_expand() -> None:
    assert read_sequence("1 _ -2+3x2 _x2 0+0x1 1e3") == [1, None, -2, 1, 4, None, None, 0, 0, 1000]
    with pytest.raises(BadInput, match="at most"):
        read_sequence("0x999999999")


def test_a_huge_sequence_is_refused_before_it_is_built() -> None:
    with pytest.raises(BadInput):
        read_sequence("1+1x99999999999")


def test_metrics_are_read() -> None:
    assert read_metric('{"a.b", c="d\\"e"} 1') == ((("__name__", "a.b"), ("c", 'd"e')), "1")
