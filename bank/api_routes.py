"""The URLs of the API by the parts of their paths: looked up, where Django tries one pattern after another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from django.urls import ResolverMatch, URLPattern, URLResolver

from bank.by_method import ByMethod

_PLACE = re.compile(r"<str:(\w+)>")
_PLAIN = re.compile(r"[a-z-]+")


@dataclass(slots=True)
class _Step:
    """What may come next in a path: a part of a certain name, or any at all, which then has the name `place`."""

    named: dict[str, "_Step"] = field(default_factory=dict)
    place: str | None = None
    any: "_Step | None" = None
    match: ResolverMatch | None = None


class ApiRoutes:
    """Finds the view of most paths. It says nothing of the others, be there a view or none: those are Django's to find.

    Known are routes of plain names and `<str:…>` alone, unless one that was declared earlier may match the same path.
    """

    def __init__(self, patterns: Iterable[URLPattern | URLResolver]) -> None:
        self._root = _Step()
        for pattern in patterns:
            if isinstance(pattern, URLPattern) and isinstance(pattern.callback, ByMethod):
                self._add(str(pattern.pattern), pattern.callback)

    def find(self, path_info: str) -> tuple[ResolverMatch, dict[str, str]] | None:
        """Return where `path_info` leads, and its parts by their names; the match itself knows none of those."""
        root, *parts = path_info.split("/")
        step, values = self._root, {}
        for part in parts:
            if (named := step.named.get(part)) is not None:
                step = named
            elif step.any is not None and step.place is not None and part:
                values[step.place] = part
                step = step.any
            else:
                return None
        return (step.match, values) if step.match and not root else None

    def _add(self, route: str, view: ByMethod) -> None:
        step = self._root
        for part in route.split("/"):
            place = _PLACE.fullmatch(part)
            if place is None:
                if step.any is not None or not _PLAIN.fullmatch(part):
                    return
                step = step.named.setdefault(part, _Step())
            else:
                if step.place not in (None, place[1]):
                    return
                step.place = place[1]
                step.any = step.any or _Step()
                step = step.any
        step.match = step.match or ResolverMatch(view, (), {}, route=route)


@cache
def api_routes(resolver: URLResolver) -> ApiRoutes:
    """Return the API's URLs of a URL table, made once for all who look paths up."""
    return ApiRoutes(resolver.url_patterns)
