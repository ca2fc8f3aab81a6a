"""Native histograms as test scripts write them."""

import math
import re
from pathlib import Path

import pytest

from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import Hint
from watchkeeper.model.histogram_sum import add
from watchkeeper.query.promql.literal import read_histogram
from watchkeeper.query.promql.native import text

SCRIPTS = Path(__file__).parents[3].parent / "shared" / "promqltest"


def test_a_histogram_is_read_with_all_that_it_may_say() -> None:
    held = read_histogram(
        "schema:1 count:11 sum:-3.5e1 z_bucket:2 z_bucket_w:0.25 offset:2 buckets:[1 0 3] n_offset:-1 n_buckets:[5]"
        " counter_reset_hint:gauge"
    )
    assert (held.schema, held.count, held.sum, held.zero_count, held.zero_threshold) == (1, 11, -35, 2, 0.25)
    assert held.positive.index.tolist() == [2, 4] and held.positive.counts.tolist() == [1, 3]
    assert held.negative.index.tolist() == [-1] and held.hint is Hint.GAUGE


def test_nothing_said_is_an_empty_histogram() -> None:
    assert text(read_histogram("")) == "{count:0, sum:0}"
    assert math.isnan(read_histogram("sum:NaN").sum)


def test_a_series_grows_by_what_stands_after_the_plus() -> None:
    grown = add(
        read_histogram("schema:-1 sum:4 count:1 buckets:[1] offset:1"),
        read_histogram("schema:0 sum:4 count:4 buckets:[2 2] offset:1"),
    ).histogram
    assert grown == read_histogram("schema:-1 count:5 sum:8 offset:1 buckets:[5]")


@pytest.mark.parametrize(
    "wrong",
    ["count", "count:x", "count:[1]", "buckets:1", "size:4", "count:1 count:2", "schema:0.5", "schema:9", "schema:-5",
     "counter_reset_hint:maybe", "buckets:[1 x]", "schema:NaN", "offset:1e300"],
)  # fmt: skip
def test_what_is_no_histogram_is_refused(wrong: str) -> None:
    with pytest.raises(BadInput, match="cannot read histogram"):
        read_histogram(wrong)


@pytest.mark.skipif(not SCRIPTS.is_dir(), reason="the scripts of Prometheus are not here")
def test_every_histogram_of_prometheus_scripts_is_read() -> None:
    found = {
        literal
        for script in SCRIPTS.glob("*.test")
        for literal in re.findall(r"\{\{(.*?)\}\}", re.sub(r"#.*", "", script.read_text()))
    }
    assert len(found) > 200
    for literal in found:
        read_histogram(literal)
