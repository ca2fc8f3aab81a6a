import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.collect.bodies import OPENMETRICS as OPENMETRICS_BODIES
from tests.collect.bodies import TEXT as TEXT_BODIES

from watchkeeper.collect.exposition import NO_TIME, OPENMETRICS, TEXT, Exposed, ExpositionReader
from watchkeeper.collect.number import format_bound, parse_value
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import NORMAL_NAN_BITS
from watchkeeper.model.labels import label_pairs


def series(exposed: Exposed) -> dict[object, float]:
    return dict(zip(map(label_pairs, exposed.shape.series), exposed.values.tolist(), strict=True))


def read(body: bytes, media: str = TEXT) -> Exposed:
    return ExpositionReader().read(body, media)


def test_an_unchanged_layout_is_the_same_object_and_only_numbers_are_read() -> None:
    reader = ExpositionReader()
    first = reader.read(b'# TYPE a counter\na{b="c"} 1\na{b="d"} 2\n')
    again = reader.read(b'# TYPE a counter\na{b="c"} 1.5e3\na{b="d"} 123456789\n')
    assert again.shape is first.shape
    assert again.values.tolist() == [1500, 123456789]


@pytest.mark.parametrize(
    "second",
    [
        b"# TYPE a gauge\na 1\nb 2\n",
        b"# HELP a 1\na 1\nb 2\n",
        b"a 1\nb 2\n",
        b"# TYPE a counter\na 1\n",
        b"# TYPE a counter\na 1\nb 2\nc 3\n",
        b"# TYPE a counter\na 1\nc 2\n",
        b"# TYPE a counter\na 1 5000\nb 2\n",
        b"# TYPE a counter\na  1\nb 2\n",
        b"# TYPE a counter\na 1\nb 2",
        b"# TYPE a counter\nb 2\na 1\n",
    ],
)
def test_another_layout_reads_as_if_nothing_had_been_before(second: bytes) -> None:
    reader = ExpositionReader()
    reader.read(b"# TYPE a counter\na 1\nb 2\n")
    got, want = reader.read(second), read(second)
    assert series(got) == series(want)
    assert got.shape.metadata == want.shape.metadata
    assert (got.times is None) == (want.times is None)


@pytest.mark.parametrize(
    "odd", [b"1_000", b"0x10", b"true", b"null", b'"1"', b"1,2", b"", b"[1]", b"1e999", b"1 x", b"--1"]
)
def test_a_value_that_is_none_fails_with_and_without_a_layout(odd: bytes) -> None:
    reader = ExpositionReader()
    reader.read(b"a 1\nb 2\n")
    with pytest.raises(BadInput):
        reader.read(b"a " + odd + b"\nb 2\n")
    assert reader.read(b"a 3\nb 4\n").values.tolist() == [3, 4]


def test_odd_numbers_keep_their_bits_with_and_without_a_layout() -> None:
    reader = ExpositionReader()
    body = b"a NaN\nb -0\nc +Inf\nd -Inf\ne .5\nf 5.\ng 9007199254740993\n"
    body += b"h 4.9e-324\ni 1e-999\nj nan\nk 12345678901234567890123\n"
    first = reader.read(body).values
    again = reader.read(body).values
    assert first.tobytes() == again.tobytes()
    assert int(first.view(np.uint64)[0]) == int(first.view(np.uint64)[9]) == NORMAL_NAN_BITS
    assert math.copysign(1, first[1]) == -1


def test_timestamps_are_kept_in_milliseconds() -> None:
    assert read(b"a 1 1700000000123\nb 2\n").times.tolist() == [1700000000123, NO_TIME]  # type: ignore[union-attr]
    exposed = read(b"a 1 1700000000.5\n# EOF\n", OPENMETRICS)
    assert exposed.times is not None
    assert exposed.times.tolist() == [1_700_000_000_500]


def test_exemplars_are_read_and_created_series_stay() -> None:
    exposed = read(
        '# TYPE a counter\nb 1\na_total 1 # {t="x\\"",u="é"} 1 2\na_created 5\n# EOF\n'.encode(), OPENMETRICS
    )
    assert list(exposed.exemplars) == [(1, Exemplar({"t": 'x"', "u": "é"}, 1.0, 2000))]
    assert [labels["__name__"] for labels in exposed.shape.series] == ["b", "a_total", "a_created"]


def test_metadata_is_read() -> None:
    body = (
        b"# HELP a_seconds some \\\\ help\\nx\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n"
    )
    said = read(body, OPENMETRICS).shape.metadata["a_seconds"]
    assert (said.type, said.help, said.unit) == ("gauge", "some \\ help\nx", "seconds")
    said = read(b"# HELP b x\n# TYPE b untyped\nb 1\n").shape.metadata["b"]
    assert (said.type, said.help) == ("unknown", "x")


def test_a_duplicate_counts_and_the_first_one_stays() -> None:
    exposed = read(b"a 1\na 2\nb 3\n")
    assert exposed.values.tolist() == [1, 3]
    assert exposed.samples == 3


def test_bucket_bounds_have_one_form() -> None:
    exposed = read(b'# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="1e6"} 2\n# TYPE b gauge\nb{le="1"} 1\n')
    assert [labels["le"] for labels in exposed.shape.series] == ["1.0", "1e+06", "1"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.0"), (1, "1.0"), (0.1, "0.1"), (1e6, "1e+06"), (123456.5, "123456.5"), (1e-5, "1e-05"), (-2.5, "-2.5")],
)
def test_bounds_are_written_as_go_does(number: float, text: str) -> None:
    assert format_bound(number) == text


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False))
def test_numbers_survive(number: float) -> None:
    assert parse_value(format_bound(number).encode()) == number
    assert parse_value(repr(number).encode()) == number


VALUES = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr).map(lambda text: {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text, text)),
    st.sampled_from(["-0", "+1", "1.", ".5", "1e5", "01", "x", "1_0", " 1", "1 5", ""]),
)
LINES = st.sampled_from(["a", 'a{b="c"}', 'a{b="d",}', "c ", "# HELP a b", "", 'x{y="1 2"}'])


def outcome(reader: ExpositionReader, body: bytes) -> Exposed | str:
    try:
        return reader.read(body)
    except BadInput as fault:
        return str(fault)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=5), st.lists(st.lists(VALUES, min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_remembered_layout_reads_what_the_whole_grammar_reads(heads: list[str], rounds: list[list[str]]) -> None:
    reader = ExpositionReader()
    for values in rounds:
        lines = [
            f"{head} {value}" if head and head[0] != "#" else head for head, value in zip(heads, values, strict=False)
        ]
        body = "\n".join(lines).encode() + b"\n"
        want, got = outcome(ExpositionReader(), body), outcome(reader, body)
        if isinstance(want, str) or isinstance(got, str):
            assert got == want
            continue
        assert got.values.tobytes() == want.values.tobytes()
        assert list(map(label_pairs, got.shape.series)) == list(map(label_pairs, want.shape.series))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(TEXT_BODIES + OPENMETRICS_BODIES),
    st.integers(0, 300),
    st.binary(max_size=3),
    st.sampled_from([TEXT, OPENMETRICS]),
)
def test_no_body_raises_anything_but_bad_input(body: bytes, at: int, junk: bytes, media: str) -> None:
    reader = ExpositionReader()
    for one in (body, body[:at] + junk + body[at:], body):
        try:
            reader.read(one, media)
        except BadInput:
            continue
