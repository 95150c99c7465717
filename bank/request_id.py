"""A name for every request: in its answer, its problems, its log lines and the events it causes."""

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from eventstore.new_ids import new_id

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestIdMiddleware:
    """Sees to it that X-Request-Id and X-Correlation-Id are there and sane, and answers with the first.

    The sender's ids are kept if they are sane. A request without a correlation id starts a correlation of its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = _sane(request.META.get("HTTP_X_REQUEST_ID")) or str(new_id())
        correlation_id = _sane(request.META.get("HTTP_X_CORRELATION_ID")) or request_id
        request.META["HTTP_X_REQUEST_ID"] = request_id
        request.META["HTTP_X_CORRELATION_ID"] = correlation_id
        bind_contextvars(requestId=request_id, correlationId=correlation_id)
        try:
            response = self.get_response(request)
        finally:
            # Its thread goes on to another request: whatever was bound on the way must not be in that one's lines.
            clear_contextvars()
        response.headers["X-Request-Id"] = request_id
        return response


def _sane(text: str | None) -> str | None:
    return text if text and _SANE_ID.fullmatch(text) else None
