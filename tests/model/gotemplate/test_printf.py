"""Go's formatting of values. The wanted texts are Go's own (fmt, strconv)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.gotemplate import format_float, sprint, sprintf


@pytest.mark.parametrize(
    ("form", "values", "wanted"),
    [
        ("%d|%5d|%-5d|%05d|%+d|% d", (42, 42, 42, -42, 42, 42), "42|   42|42   |-0042|+42| 42"),
        (
            "%x %X %#x %o %O %b %c %q %U",
            (255, 255, 255, 8, 8, 5, 65, 65, 0x1F600),
            "ff FF 0xff 10 0o10 101 A 'A' U+1F600",
        ),
        (
            "%f %.2f %8.3f %-8.1f| %08.2f",
            (1.5, 1.005, 3.14159, 2.25, -1.5),
            "1.500000 1.00    3.142 2.2     | -0001.50",
        ),
        (
            "%e %.1e %E %g %.3g %G",
            (123456.789, 12345.0, 1.5, 1e21, 1234.5, 1e-10),
            "1.234568e+05 1.2e+04 1.500000E+00 1e+21 1.23e+03 1E-10",
        ),
        ("%s %10s %-10s| %.2s %q %x", ("a", "b", "c", "abc", 'q"', "hi"), 'a          b c         | ab "q\\"" 6869'),
        ("%v %v %v %v %v", (1, 1.0, "s", True, None), "1 1 s true <nil>"),
        ("%t %5t", (True, False), "true false"),
        ("%v %v", ([1, "a", 2.5], {"b": 1, "a": [2]}), "[1 a 2.5] map[a:[2] b:1]"),
        ("%d", ([1, 2],), "[1 2]"),
        ("%T %T %T %T", (1, 1.5, "s", []), "int float64 string []interface {}"),
        ("%d%%", (50,), "50%"),
        ("%d %s", (1,), "1 %!s(MISSING)"),
        ("%d", (1, "x", 2.5), "1%!(EXTRA string=x, float64=2.5)"),
        ("%d", ("x",), "%!d(string=x)"),
        ("%s", (5,), "%!s(int=5)"),
        ("%z", (5,), "%!z(int=5)"),
        ("%", (), "%!(NOVERB)"),
        ("%[2]d %[1]d", (1, 2), "2 1"),
        ("%[5]d", (1,), "%!d(BADINDEX)"),
        ("%*d", (5, 42), "   42"),
        ("%-*d|", (5, 42), "42   |"),
        ("%.*f", (1, 2.55), "2.5"),
        ("%99999999999d", (1,), "%!(BADWIDTH)1"),
        ("%v %5.1f %v", (math.inf, math.nan, -math.inf), "+Inf   NaN -Inf"),
        ("%+q %#q", ("é", "é"), '"\\u00e9" `é`'),
    ],
)
def test_forms(form: str, values: tuple[object, ...], wanted: str) -> None:
    assert sprintf(form, values) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1e5, "100000"),
        (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e100, "1e+100"),
        (5e-324, "5e-324"),
        (0.1, "0.1"),
    ],
)
def test_shortest_floats(value: float, wanted: str) -> None:
    assert format_float(value) == wanted


def test_scientific_floats_as_alerts_show_them() -> None:
    assert [format_float(value, "e") for value in (1.0, 0.0, 1234.5, -2e-7)] == [
        "1e+00",
        "0e+00",
        "1.2345e+03",
        "-2e-07",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from("efg"))
def test_shortest_float_reads_back_as_itself(value: float, verb: str) -> None:
    assert float(format_float(value, verb)) == value


def test_print_puts_spaces_between_what_is_no_text() -> None:
    assert sprint([1, 2, "a", "b", 3, 4.5]) == "1 2a b3 4.5".replace("a b", "ab")


@given(
    st.text(max_size=30),
    st.lists(st.integers() | st.floats() | st.text(max_size=5) | st.booleans() | st.none(), max_size=4),
)
def test_any_form_gives_a_text(form: str, values: list[object]) -> None:
    assert isinstance(sprintf("%" + form, values), str)
