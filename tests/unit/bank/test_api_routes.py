"""Looking a path up leads where Django's search leads, or nowhere."""

import pytest
from django.http import HttpResponse
from django.urls import Resolver404, URLPattern, get_resolver, path, resolve

from bank.api_routes import ApiRoutes
from bank.by_method import by_method

ROUTES = [str(pattern.pattern) for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)]
PARTS = ["acc-1", "balance", "rebuild-all", "a%20b", "é", " ", "a\nb", "..", "<str:account_id>"]


def paths() -> list[str]:
    """Return paths of every route, with all kinds of parts in their places, and some beside them."""
    filled = [
        "/" + "/".join(part if "<" in step else step for step in route.split("/")) for route in ROUTES for part in PARTS
    ]
    beside = [beside for path in filled for beside in (path + "/", "/" + path, path[1:], path.replace("api", "API"))]
    return [*filled, *beside, "", "/", "/api", "/api/", "/api//", "/api/accounts//balance"]


def by_django(path_info: str):
    try:
        return resolve(path_info)
    except Resolver404:
        return None


def test_it_leads_where_django_leads_or_nowhere():
    routes = ApiRoutes(get_resolver().url_patterns)
    known = 0
    for path_info in paths():
        if found := routes.find(path_info):
            match, parts = found
            expected = by_django(path_info)
            assert expected is not None, path_info
            assert (match.func, match.route, parts) == (expected.func, expected.route, expected.kwargs)
            known += 1
    assert known > 100


@pytest.mark.parametrize(
    "path_info", ["/api/accounts", "/api/accounts/x", "/api/accounts/x/deposits", "/api/transfers", "/api/commands"]
)
def test_what_is_asked_for_most_is_known(path_info):
    assert ApiRoutes(get_resolver().url_patterns).find(path_info)


def test_the_route_that_was_declared_first_wins():
    view, other = by_method(GET=lambda request, **_: HttpResponse()), by_method(POST=lambda request: HttpResponse())
    routes = ApiRoutes(
        [path("a/<str:name>/b", view), path("a/own/b", other), path("a/<str:other>", other), path("c/<int:n>", view)]
    )
    found = routes.find("/a/own/b")
    assert found and (found[0].func, found[1]) == (view, {"name": "own"})
    assert [routes.find(unknown) for unknown in ("/a/x", "/c/5", "a/x/b", "/x/a/x/b", "/a//b")] == [None] * 5
