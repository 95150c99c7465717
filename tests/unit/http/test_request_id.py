"""Every request gets a name, its sender's or a new one, and log lines bear it while the request lasts."""

from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from bank.request_id import RequestIdMiddleware


@pytest.fixture(autouse=True)
def nothing_bound() -> None:
    """Begin with nothing bound: what other tests call of the bank, outside any request, leaves names behind."""
    clear_contextvars()


def passed(**headers: str):
    """Send a request through the middleware; return what the view saw, and the answer."""
    seen: dict[str, Any] = {}

    def view(request):
        seen.update(
            request_id=request.headers["X-Request-Id"],
            correlation_id=request.headers["X-Correlation-Id"],
            logged=get_contextvars(),
        )
        bind_contextvars(streamId="account-1")
        return HttpResponse()

    response = RequestIdMiddleware(view)(RequestFactory().get("/", headers=headers))
    return seen, response


def test_a_sane_id_is_kept():
    seen, response = passed(**{"X-Request-Id": "req-1", "X-Correlation-Id": "corr:1"})
    assert response.headers["X-Request-Id"] == "req-1"
    assert seen == {
        "request_id": "req-1",
        "correlation_id": "corr:1",
        "logged": {"requestId": "req-1", "correlationId": "corr:1"},
    }


@pytest.mark.parametrize("odd", ["", "a b", "a\nb", "ä", "<script>", "x" * 129])
def test_any_other_is_replaced(odd):
    seen, response = passed(**{"X-Request-Id": odd, "X-Correlation-Id": odd})
    assert UUID(response.headers["X-Request-Id"])
    assert seen["request_id"] == seen["correlation_id"] == response.headers["X-Request-Id"]


def test_without_a_correlation_id_a_request_starts_one():
    seen, _ = passed(**{"X-Request-Id": "req-1"})
    assert seen["correlation_id"] == "req-1"


def test_nothing_that_was_bound_outlives_the_request():
    passed(**{"X-Request-Id": "req-1"})
    assert get_contextvars() == {}


def test_nor_one_that_fails():
    def view(request):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        RequestIdMiddleware(view)(RequestFactory().get("/"))
    assert get_contextvars() == {}
