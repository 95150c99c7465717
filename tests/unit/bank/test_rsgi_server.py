"""Which requests are fibers, and what becomes of what granian tells of them."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver

from bank.by_method import ByMethod
from bank.rsgi_server import MAX_KNOWN_HEADERS, RsgiApplication, ViewsTellWhether

FIBERS = {
    ("POST", "api/accounts"),
    ("GET", "api/accounts/<str:account_id>"),
    ("GET", "api/accounts/<str:account_id>/balance"),
    ("GET", "api/accounts/<str:account_id>/history"),
    ("POST", "api/accounts/<str:account_id>/deposits"),
    ("POST", "api/accounts/<str:account_id>/withdrawals"),
    ("POST", "api/accounts/<str:account_id>/freeze"),
    ("POST", "api/accounts/<str:account_id>/unfreeze"),
    ("POST", "api/accounts/<str:account_id>/close"),
    ("POST", "api/transfers"),
}


def test_commands_and_one_account_s_reads_are_fibers_and_nothing_else():
    """Pages, lists, bulks and repairs may take long by themselves, and keep to threads."""
    views = ViewsTellWhether()
    patterns = [one for one in get_resolver().url_patterns if isinstance(one, URLPattern)]
    routes = [(str(one.pattern), one.callback) for one in patterns if isinstance(one.callback, ByMethod)]
    found = {
        (method, route)
        for route, view in routes
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE")
        if views.is_fiber(method, "/" + route.replace("<str:account_id>", "acc-1").replace("<str:transfer_id>", "t-1"))
    }
    assert found == FIBERS


@pytest.mark.parametrize("path", ["", "/", "/admin/", "/nowhere", "/api/accounts/", "*", "/api/accounts//balance"])
def test_what_is_no_path_of_the_api_is_none(path):
    assert not ViewsTellWhether().is_fiber("GET", path)


@dataclass
class Scope:
    """A request as granian tells of it."""

    client: str = "127.0.0.1:5000"
    server: str = "127.0.0.1:3000"
    authority: str | None = None
    proto: str = "http"
    scheme: str = "http"
    http_version: str = "1.1"
    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    headers: Any = field(default_factory=lambda: Headers([]))


class Headers:
    """Its headers."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def items(self) -> list[tuple[str, str]]:
        return self._fields

    def keys(self) -> list[str]:
        return [name for name, _ in self._fields]


def nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise NotImplementedError


def environ(**scope: Any) -> dict[str, Any]:
    return RsgiApplication(nothing).environ_of(Scope(**scope))


def test_addresses_of_ipv6_have_no_brackets():
    made = environ(client="[2001:db8::1]:5000", server="[::1]:3000")
    assert (made["REMOTE_ADDR"], made["SERVER_NAME"], made["SERVER_PORT"]) == ("2001:db8::1", "::1", "3000")


def test_the_host_of_http_2_is_its_authority():
    assert environ(authority="bank.example")["HTTP_HOST"] == "bank.example"
    assert environ(authority="other", headers=Headers([("host", "bank.example")]))["HTTP_HOST"] == "bank.example"


def test_names_of_headers_are_remembered_within_bounds():
    application = RsgiApplication(nothing)
    names = [f"x-{number}" for number in range(2 * MAX_KNOWN_HEADERS)]
    made = application.environ_of(Scope(headers=Headers([(name, "1") for name in ["y" * 100, *names]])))
    assert made["HTTP_" + "Y" * 100] == made["HTTP_X_1999"] == "1"
    assert len(application._variables) == MAX_KNOWN_HEADERS
    assert "y" * 100 not in application._variables


def test_a_websocket_is_refused():
    closed: list[int] = []

    class Protocol:
        def close(self, status: int) -> None:
            closed.append(status)

    asyncio.run(RsgiApplication(nothing).__rsgi__(Scope(proto="ws"), Protocol()))
    assert closed == [403]
