import pytest
from starlette.responses import Response

from watchkeeper.net.router import Router
from watchkeeper.net.routing import OPEN, Call, Route


async def _nothing(_call: Call) -> Response:
    return Response()


def _routes(*paths: str) -> list[Route]:
    return [Route(path, ("GET",), _nothing, OPEN, "") for path in paths]


PATHS = (
    "/{rest:path}",
    "/api/v1/label/{name}/values",
    "/api/{rest:path}",
    "/api/v1/{thing}",
    "/api/v1/labels",
    "/api/admin/users/{id}",
    "/api/admin/users/{id}/password",
    "/d/{uid}",
    "/d/{uid}/{slug}",
    "/",
)


@pytest.mark.parametrize(
    ("path", "want", "filled"),
    [
        ("/api/v1/labels", "/api/v1/labels", {}),
        ("/api/v1/other", "/api/v1/{thing}", {"thing": "other"}),
        ("/api/v1/label/job/values", "/api/v1/label/{name}/values", {"name": "job"}),
        ("/api/v1/label/job", "/api/{rest:path}", {"rest": "v1/label/job"}),
        ("/api/admin/users/7/password", "/api/admin/users/{id}/password", {"id": "7"}),
        ("/d/a/b", "/d/{uid}/{slug}", {"uid": "a", "slug": "b"}),
        ("/d/a/b/c", "/{rest:path}", {"rest": "d/a/b/c"}),
        ("/", "/", {}),
        ("/x\ny", "/{rest:path}", None),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_most_literal_pattern_wins_in_any_order(
    path: str, want: str, filled: dict[str, str] | None, order: int
) -> None:
    found = Router(_routes(*PATHS[::order])).find(path)
    if filled is None:
        assert found is None
    else:
        assert found is not None and (found[0].path, dict(found[1])) == (want, filled)


def test_one_path_twice_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="two routes"):
        Router(_routes("/a", "/a"))


def test_methods_of_one_path_stand_together() -> None:
    router = Router([*_routes("/a"), Route("/a", ("POST",), _nothing, OPEN, "")])
    found = router.find("/a")
    assert found is not None and found[0].allow == "GET, HEAD, OPTIONS, POST"
