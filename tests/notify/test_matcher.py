import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.notify.matcher import LabelMatcher, parse_matcher, parse_matchers, shown


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('foo="bar"', '{foo="bar"}'),
        ("foo=bar", '{foo="bar"}'),
        ("foo=", '{foo=""}'),
        ('{foo="bar", baz!~"q.*",}', '{foo="bar",baz!~"q.*"}'),
        ("{}", "{}"),
        ("", "{}"),
        ("foo=bar baz", '{foo="bar baz"}'),
        ('foo="a,b"', '{foo="a,b"}'),
        (r'foo="a\"b\\c\nd"', r'{foo="a\"b\\c\nd"}'),
        (r'foo="a\tb"', r'{foo="a\\tb"}'),  # both parsers understand it and differ: the classic one counts
        ('"a b"="c"', '{"a b"="c"}'),
        (r'"ä"="\u00e4"', '{ä="ä"}'),
        ("ä=ö", '{ä="ö"}'),
        ('foo=~"a|b",x!=y', '{foo=~"a|b",x!="y"}'),
    ],
)
def test_reads_both_syntaxes(text: str, want: str) -> None:
    assert shown(parse_matchers(text)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("foo", "bad matcher format: foo"),
        ('foo="bar', 'matcher value contains unescaped double quote: "bar'),
        ("a=b,,c=d", "bad matcher format: "),
        ("foo=~(", "error parsing regexp: missing closing ): `^(?:()$`"),
        ("1a=b,", "bad matcher format: 1a=b"),
    ],
)
def test_refuses_in_alertmanagers_words(text: str, want: str) -> None:
    if text == "1a=b,":  # the UTF-8 syntax takes it
        assert shown(parse_matchers(text)) == '{1a="b"}'
        return
    with pytest.raises(BadInput) as caught:
        parse_matchers(text)
    assert str(caught.value) == want


def test_a_single_matcher_has_no_braces() -> None:
    with pytest.raises(BadInput, match="unexpected open or close brace"):
        parse_matcher("{a=b}")


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=8), st.sampled_from(["=", "!="]), st.text(max_size=12))
def test_what_is_shown_is_read_back(name: str, op: str, value: str) -> None:
    if not value.isprintable() or not name.isprintable():
        return
    matcher = LabelMatcher(name, op, value)  # type: ignore[arg-type]
    assert parse_matchers(shown([matcher])) == (matcher,)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}=!~,"\\ abü\n(*', max_size=20))
def test_anything_else_is_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse_matchers(text)
