"""The short way for the API between web server and middleware: the answers are those of Django's handler."""

import io
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started

from bank.api_handler import BankHandler


def exchange(handler: Any, path: str, **environ: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and content of the answer that a web server gets."""
    seen: list[Any] = []
    about = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_X_REQUEST_ID": "req-1",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    answer = handler({**about, **environ}, lambda status, headers, *_: seen.extend([status, headers]))
    content = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return seen[0], seen[1], content


@pytest.mark.parametrize(
    "path", ["/api/nowhere", "/api/accounts/a%20b", "/api/accounts/a b", "/api/docs", "/api/schema", "/nowhere", "/"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_it_answers_as_django_does(path, method):
    [by_django, by_bank] = [exchange(kind(), path, REQUEST_METHOD=method) for kind in (WSGIHandler, BankHandler)]
    assert (by_bank[0], sorted(by_bank[1]), by_bank[2]) == (by_django[0], sorted(by_django[1]), by_django[2])


def test_content_is_handed_over_as_one_and_listeners_are_spared():
    told = []
    request_started.connect(heard := lambda **_: told.append(1))
    try:
        handler: Any = BankHandler()
        about = {"REQUEST_METHOD": "GET", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.input": io.BytesIO()}
        answer = handler({**about, "PATH_INFO": "/api/nowhere"}, lambda *_: None)
        assert type(answer) is list and len(answer) == 1 and told == []
        exchange(handler, "/nowhere")
        assert told == [1]
    finally:
        request_started.disconnect(heard)
