"""What is kept of every request: one log line and one measurement."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bind_contextvars

from accounts.repository import account_stream_id
from bank.metrics import HTTP_REQUEST_SECONDS

logger = structlog.stdlib.get_logger("bank.requests")

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
        HTTP_REQUEST_SECONDS.labels(method, route, response.status_code).observe(seconds)
        log = logger.debug if route in ASKED_BY_MACHINES else logger.info
        log(
            "request",
            method=method,
            route=route,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 2),
            **_staff(request),
        )
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, path: dict[str, Any]) -> None:
        """Name the stream that the path is about in all lines from here on."""
        if account_id := path.get("account_id"):
            bind_contextvars(streamId=account_stream_id(account_id[:MAX_ID_LENGTH]))


def _staff(request: HttpRequest) -> dict[str, str]:
    """Return who of the staff asked, if somebody looked already: to look now could cost a query, or fail."""
    user = getattr(request, "_cached_user", None)
    return {"actor": user.get_username()} if user and user.is_authenticated else {}
