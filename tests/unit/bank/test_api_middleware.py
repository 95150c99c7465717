"""The API's way past the middleware for people: what it leaves out changes no answer."""

from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from bank.middleware import ApiMiddleware, innermost

OF_EVERY_ANSWER = {"X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Content-Length"}


def by_whole_chain(monkeypatch, path: str, **environ: Any) -> Any:
    """Return the answer that all middleware together give."""
    with monkeypatch.context() as patched:
        patched.setattr(ApiMiddleware, "__call__", lambda self, request: self.get_response(request))
        return Client().get(path, **environ)


def test_the_innermost_handler_is_the_one_that_finds_the_view():
    handler: Any = WSGIHandler()
    outermost: Any = handler._middleware_chain
    found: Any = innermost(outermost)
    assert found.__wrapped__ == handler._get_response
    assert innermost(found) is found


@pytest.mark.parametrize("path", ["/api/nowhere", "/api/accounts/a%20b", "/api/schema", "/api/health/", "/api/docs"])
@pytest.mark.parametrize("secure", [{}, {"HTTP_X_FORWARDED_PROTO": "https"}])
@override_settings(SECURE_HSTS_SECONDS=60, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
def test_it_answers_as_the_whole_chain_does(monkeypatch, path, secure):
    fixed = {"HTTP_X_REQUEST_ID": "req-1", **secure}
    whole, short = by_whole_chain(monkeypatch, path, **fixed), Client().get(path, **fixed)
    assert (short.status_code, short.content) == (whole.status_code, whole.content)
    assert short.headers.items() == whole.headers.items()
    assert OF_EVERY_ANSWER <= set(short.headers)
    assert ("Strict-Transport-Security" in short.headers) == bool(secure)


@override_settings(SECURE_SSL_REDIRECT=True, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
def test_what_must_be_redirected_is():
    response = Client().get("/api/accounts?limit=1")
    assert (response.status_code, response.headers["Location"]) == (301, "https://testserver/api/accounts?limit=1")
    assert Client().get("/api/nowhere", HTTP_X_FORWARDED_PROTO="https").status_code == 404


def test_a_name_that_the_bank_does_not_answer_to_is_refused_again_and_again():
    client = Client()
    for _ in range(2):
        assert client.get("/api/nowhere", HTTP_HOST="testserver").status_code == 404
        refused = client.get("/api/nowhere", HTTP_HOST="elsewhere.example")
        assert (refused.status_code, refused.json()["code"]) == (400, "validation_error")


def test_names_that_passed_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("bank.middleware.MAX_KNOWN_HOSTS", 2)
    middleware = ApiMiddleware(lambda request: HttpResponse())
    for port in range(5):
        assert middleware(RequestFactory().get("/api/nowhere", HTTP_HOST=f"testserver:{port}")).status_code == 200
    assert len(middleware._known_hosts) == 2
