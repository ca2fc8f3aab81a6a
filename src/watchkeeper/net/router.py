"""Which route a path means: exact paths by one look-up, the others by the most literal pattern, never by list order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.routing import compile_path

from watchkeeper.net.routing import Route

_SPECIFICITY = {"literal": 0, "segment": 1, "rest": 2}
_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class Place:
    """All routes of one path."""

    path: str
    routes: dict[str, Route] = field(default_factory=dict)

    @property
    def allow(self) -> str:
        """Give the methods for an Allow header."""
        return ", ".join(sorted({*self.routes, "OPTIONS"} | ({"HEAD"} if "GET" in self.routes else set())))

    def route(self, method: str) -> Route | None:
        """Give the route of a method; HEAD is answered as GET."""
        return self.routes.get(method) or (self.routes.get("GET") if method == "HEAD" else None)


class Router:
    """Finds the place of a path. Two routes with the same path and method are a bug."""

    def __init__(self, routes: Iterable[Route]) -> None:
        places: dict[str, Place] = {}
        for route in routes:
            place = places.setdefault(route.path, Place(route.path))
            for method in route.methods:
                assert method not in place.routes, f"two routes for {method} {route.path}"
                place.routes[method] = route
        self._exact = {path: place for path, place in places.items() if "{" not in path}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Place]]] = {}
        for place in sorted((place for path, place in places.items() if "{" in path), key=_rank):
            first = place.path.split("/", 2)[1]
            self._patterns.setdefault("" if "{" in first else first, []).append((compile_path(place.path)[0], place))

    def find(self, path: str) -> tuple[Place, Mapping[str, str]] | None:
        """Give a path's place and its parameters, or None."""
        place = self._exact.get(path)
        if place is not None:
            return place, _NOTHING
        first = path.split("/", 2)[1]
        for bucket in (first, "") if first else ("",):
            for pattern, place in self._patterns.get(bucket, ()):
                match = pattern.match(path)  # anchored at both ends by Starlette; the path has no line ends
                if match is not None:
                    return place, match.groupdict()
        return None


def _rank(place: Place) -> tuple[list[int], str]:
    kinds = ["rest" if ":path}" in part else "segment" if "{" in part else "literal" for part in place.path.split("/")]
    return [_SPECIFICITY[kind] for kind in kinds], place.path
