"""Every request has a name, and its log lines bear it."""

import logging
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from bank.request_id import RequestIdFilter, RequestIdMiddleware


def logged_id() -> Any:
    """Return the request id that a log line written now would bear."""
    record = logging.makeLogRecord({})
    assert RequestIdFilter().filter(record)
    return vars(record)["request_id"]


def passed(**headers: str):
    """Send a request through the middleware; return what the view saw, and the answer."""
    seen: dict[str, str] = {}

    def view(request):
        seen.update(
            request_id=request.headers["X-Request-Id"],
            correlation_id=request.headers["X-Correlation-Id"],
            logged=logged_id(),
        )
        return HttpResponse()

    response = RequestIdMiddleware(view)(RequestFactory().get("/", headers=headers))
    return seen, response


def test_a_sane_id_is_kept():
    seen, response = passed(**{"X-Request-Id": "req-1", "X-Correlation-Id": "corr:1"})
    assert response.headers["X-Request-Id"] == "req-1"
    assert seen == {"request_id": "req-1", "correlation_id": "corr:1", "logged": "req-1"}


@pytest.mark.parametrize("odd", ["", "a b", "a\nb", "ä", "<script>", "x" * 129])
def test_any_other_is_replaced(odd):
    seen, response = passed(**{"X-Request-Id": odd, "X-Correlation-Id": odd})
    assert UUID(response.headers["X-Request-Id"])
    assert seen["request_id"] == seen["correlation_id"] == response.headers["X-Request-Id"]


def test_without_a_correlation_id_a_request_starts_one():
    seen, _ = passed(**{"X-Request-Id": "req-1"})
    assert seen["correlation_id"] == "req-1"


def test_outside_of_requests_log_lines_bear_no_name():
    passed(**{"X-Request-Id": "req-1"})
    assert logged_id() == "-"
