"""What is kept of every request: one log line and one measurement."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars

from accounts.repository import account_stream_id
from bank.logs import write_line
from bank.metrics import HTTP_REQUEST_SECONDS

logger = logging.getLogger("bank.requests")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ASKED_BY_MACHINES = frozenset({"health", "api/health", "health/live", "health/ready", "metrics"})
"""Routes whose lines would drown all others; they are logged at level DEBUG."""
MAX_ID_LENGTH = 64


class RequestRecordMiddleware:
    """Measures and logs each request when it is answered.

    Labels are bounded, whatever clients send: a route is a template of the URL table, and a method one that is known.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun_at = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - begun_at
        method = request.method if request.method in METHODS else "other"
        route = request.resolver_match.route if request.resolver_match else "none"
        _measured(method, route, response.status_code).observe(seconds)
        write_line(
            logger,
            logging.DEBUG if route in ASKED_BY_MACHINES else logging.INFO,
            "request",
            method=method,
            route=route,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 2),
            **_staff(request),
        )
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, path: dict[str, Any]) -> None:
        """Name what the path is about."""
        name_stream(path)


def name_stream(path: Mapping[str, Any]) -> None:
    """Name the stream that the parts of a path are about in all lines from here on."""
    if account_id := path.get("account_id"):
        bind_contextvars(streamId=account_stream_id(account_id[:MAX_ID_LENGTH]))


@cache
def _measured(method: str, route: str, status: int) -> Histogram:
    """Return where requests of a kind are counted: to find it anew takes longer than to count."""
    return HTTP_REQUEST_SECONDS.labels(method, route, status)


def _staff(request: HttpRequest) -> dict[str, str]:
    """Return who of the staff asked, if somebody looked already: to look now could cost a query, or fail."""
    user = getattr(request, "_cached_user", None)
    return {"actor": user.get_username()} if user and user.is_authenticated else {}
