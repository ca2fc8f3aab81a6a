"""YAML as Go reads it, with lines and limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict

from watchkeeper.model.document import Settings, parse, setting
from watchkeeper.model.errors import BadConfig, BadConfigs


class Inner(Settings):
    port: int = setting(9090, "A port.", ge=1)
    name: str = setting("", "A name.")


class Outer(Settings):
    inner: Inner = setting(Inner, "Inner.")
    many: tuple[Inner, ...] = setting((), "Many.")
    needed: str


def test_scalars_stay_text_and_the_settings_decide() -> None:
    read = parse("{needed: 010, inner: {port: 80, name: no}}", "f.yml").read_as(Outer)
    assert (read.needed, read.inner.port, read.inner.name) == ("010", 80, "no")


def test_null_is_null_and_quoted_null_is_text() -> None:
    assert parse('{a: , b: ~, c: null, d: "null", e: ""}', "f").content == {
        "a": None,
        "b": None,
        "c": None,
        "d": "null",
        "e": "",
    }


def test_faults_name_file_line_and_field() -> None:
    text = "needed: x\ninner:\n  port: zero\n  nmae: y\nmany:\n- port: 1\n- port: 0\n"
    with pytest.raises(BadConfigs) as caught:
        parse(text, "f.yml").read_as(Outer)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("f.yml:3: inner.port: got 'zero', want ")
    assert lines[1].startswith("f.yml:4: inner.nmae: got an unknown field, want ")
    assert lines[2].startswith("f.yml:7: many[1].port: got '0', want ")


def test_missing_field_is_named() -> None:
    with pytest.raises(BadConfigs, match=r"f\.yml:1: needed: got nothing, want this field"):
        parse("inner: {}", "f.yml").read_as(Outer)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: b\nc: [", "f:3: got "),
        ("a: b\na: c", "f:2: a: got the field twice, want it once"),
        ("[" * 100 + "]" * 100, "want depth at most 50"),
        ("a: &x 1\nb: [" + ", ".join(["*x"] * 200) + "]", "want at most 100"),
        ("? [a]\n: b", "want text"),
        ("a: \x00", "want valid YAML"),
        ("a: *nosuch", "want valid YAML"),
        ("--- a\n--- b", "want valid YAML"),
    ],
)
def test_what_is_refused(text: str, error: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse(text, "f")
    assert error in str(caught.value)


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(BadConfig):
        parse(b"a: \xff\xfe", "f")


def test_tags_are_text_and_never_code() -> None:
    assert parse("a: !!python/object/apply:os.system [ls]", "f").content == {"a": ["ls"]}


def test_merged_keys_do_not_replace_ones_own() -> None:
    assert parse("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}", "f").content["y"] == {"a": "1", "b": "3"}


def test_aliases_that_multiply_are_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(BadConfig, match=r"fewer|at most"):
        parse("\n".join(levels), "f")


def test_line_of_a_place_or_of_the_nearest_around_it() -> None:
    document = parse("a:\n  b:\n  - c\n  - d\n", "f")
    assert document.line(("a", "b", 1)) == 4
    assert document.line(("a", "b", 7, "x")) == document.line(("a", "b")) == 2


def test_settings_are_declared_once_and_read_only() -> None:
    assert Inner.model_fields["port"].description == "A port."
    assert isinstance(Inner.model_config, dict)
    assert ConfigDict(frozen=True).items() <= Inner.model_config.items()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        parse(text, "f")
    except BadConfig as error:
        assert str(error).startswith("f:")  # noqa: PT017  # either is good
