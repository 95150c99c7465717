"""One path, several views: each method finds its own, and the rest is refused."""

from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from bank.by_method import by_method


def view(method: str) -> Any:
    """Send `method` to a path with a command and a query."""
    joined = by_method(
        GET=lambda request, account_id: HttpResponse(f"query {account_id}"),
        POST=lambda request, account_id: HttpResponse(f"command {account_id}", status=201),
    )
    return joined(RequestFactory().generic(method, "/", HTTP_X_REQUEST_ID="req-1"), account_id="acc-1")


@pytest.mark.parametrize(
    ("method", "status", "content"),
    [("GET", 200, b"query acc-1"), ("HEAD", 200, b"query acc-1"), ("POST", 201, b"command acc-1")],
)
def test_each_method_finds_its_view(method, status, content):
    assert (view(method).status_code, view(method).content) == (status, content)


def test_options_names_what_is_allowed():
    response = view("OPTIONS")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_any_other_method_is_refused(method):
    response = view(method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert orjson.loads(response.content)["code"] == "method_not_allowed"


def test_without_a_query_head_is_not_allowed():
    joined = by_method(POST=lambda request: HttpResponse())
    response: Any = joined(RequestFactory().head("/", HTTP_X_REQUEST_ID="req-1"))
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")
