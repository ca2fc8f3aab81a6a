import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.net.judges.hostile import PATH_TRICKS

from watchkeeper.net.answers import Fault
from watchkeeper.net.paths import read_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/api/v1/query", "/api/v1/query"),
        (b"/api/v1/label/__name__/values", "/api/v1/label/__name__/values"),
        (b"/d/a%20b", "/d/a b"),
        (b"/d/gr%C3%BC%C3%9Fe", "/d/grüße"),
        (b"/x:key/@y", "/x:key/@y"),
        (b"/v1.2/file.json", "/v1.2/file.json"),
        (b"/100%25", "/100%"),
        (b"/x/", "/x/"),
    ],
)
def test_plain_paths_are_read_once(raw: bytes, path: str) -> None:
    assert read_path(raw) == path


@pytest.mark.parametrize("trick", PATH_TRICKS)
def test_what_two_readers_could_read_differently_is_refused(trick: bytes) -> None:
    with pytest.raises(Fault) as caught:
        read_path(b"/d" + trick)
    assert caught.value.status == 400


def test_a_path_is_absolute_and_bounded() -> None:
    for raw in (b"", b"x", b"*", b"/" + b"x" * 5000):
        with pytest.raises(Fault):
            read_path(raw)


@given(st.binary(max_size=60))
def test_nothing_else_happens_and_reading_again_changes_nothing(raw: bytes) -> None:
    try:
        path = read_path(b"/" + raw)
    except Fault:
        return
    assert path.isprintable() and "\\" not in path and "//" not in path
    assert not any(segment in {".", ".."} for segment in path.split("/"))
