"""A bank for this machine alone answers nobody else, wherever its server listens."""

import orjson
import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.test import RequestFactory

from bank.loopback import hosts_to_listen_on
from bank.loopback_only import LoopbackOnlyMiddleware

HERE = ["127.0.0.1", "127.8.9.10", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::FFFF:7f00:1"]
ELSEWHERE = [
    "192.0.2.7",
    "10.0.0.1",
    "0.0.0.0",  # noqa: S104
    "128.0.0.1",
    "::",
    "2001:db8::7",
    "fe80::1%eth0",
    "::ffff:192.0.2.7",
    "::127.0.0.1",
    "localhost",
    "127.0.0.1.example.org",
    "2130706433",
    "",
]


def answered(sender: str, **meta: str) -> HttpResponse:
    middleware = LoopbackOnlyMiddleware(lambda request: HttpResponse("served"))
    request = RequestFactory().get("/health")
    request.META.update(REMOTE_ADDR=sender, HTTP_X_REQUEST_ID="req-1", **meta)
    response = middleware(request)
    assert isinstance(response, HttpResponse)
    return response


@pytest.mark.parametrize("sender", HERE)
def test_this_machine_is_answered(sender):
    assert answered(sender).content == b"served"
    assert answered("127.0.0.1", HTTP_X_FORWARDED_FOR=f"{sender}, 127.0.0.1").content == b"served"


@pytest.mark.parametrize("sender", ELSEWHERE)
def test_nobody_else_is(sender):
    response = answered(sender)
    assert (response.status_code, response.headers["Content-Type"]) == (403, "application/problem+json")
    assert orjson.loads(response.content)["code"] == "forbidden"


def test_nor_who_asks_through_a_proxy_on_this_machine():
    assert answered("127.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.7").status_code == 403
    assert answered("127.0.0.1", HTTP_X_FORWARDED_FOR="127.0.0.1, 192.0.2.7").status_code == 403


@pytest.mark.parametrize(("api_auth", "debug", "guards"), [("open", 0, 1), ("token", 1, 1), ("token", 0, 0)])
def test_only_a_bank_for_this_machine_is_guarded_so(settings, api_auth, debug, guards):
    settings.API_AUTH, settings.DEBUG = api_auth, bool(debug)
    if guards:
        assert answered("192.0.2.7").status_code == 403
    else:
        with pytest.raises(MiddlewareNotUsed):
            answered("192.0.2.7")


def test_without_a_sender_nobody_is_known():
    request = RequestFactory().get("/health", HTTP_X_REQUEST_ID="req-1")
    del request.META["REMOTE_ADDR"]
    assert LoopbackOnlyMiddleware(lambda request: HttpResponse())(request).status_code == 403


@pytest.mark.parametrize(
    ("command_line", "hosts"),
    [
        ("/venv/bin/granian --interface rsgi --host 0.0.0.0 bank.rsgi:application", ["0.0.0.0"]),  # noqa: S104
        ("/venv/lib/granian/__main__.py --host=:: --port 3000", ["::"]),
        ("granian --host 127.0.0.1 --host 192.0.2.7", ["127.0.0.1", "192.0.2.7"]),
        ("granian bank.rsgi:application", []),
        ("manage.py runserver 0.0.0.0:8000", ["0.0.0.0"]),  # noqa: S104
        ("manage.py runserver --noreload [::]:8000", ["[::]"]),
        ("manage.py runserver 0:8000", ["0"]),
        ("manage.py runserver 8000", []),
        ("manage.py shell --host 0.0.0.0", []),
        ("", []),
    ],
)
def test_where_a_server_is_told_to_listen(command_line, hosts):
    assert list(hosts_to_listen_on(command_line=command_line.split())) == hosts
