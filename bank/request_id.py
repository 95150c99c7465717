"""A name for every request: in its answer, its problems, its log lines and the events it causes.

Apart from the other middleware: logging is set up before any app, and needs the filter.
"""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestIdMiddleware:
    """Sees to it that X-Request-Id and X-Correlation-Id are there and sane, and answers with the first.

    The sender's ids are kept if they are sane. A request without a correlation id starts a correlation of its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = _sane(request.META.get("HTTP_X_REQUEST_ID")) or str(uuid4())
        request.META["HTTP_X_REQUEST_ID"] = request_id
        request.META["HTTP_X_CORRELATION_ID"] = _sane(request.META.get("HTTP_X_CORRELATION_ID")) or request_id
        outer = _request_id.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            _request_id.reset(outer)
        response.headers["X-Request-Id"] = request_id
        return response


class RequestIdFilter(logging.Filter):
    """Gives every log line the id of the request it was written for, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id to `record`; let every record pass."""
        record.request_id = _request_id.get()
        return True


def _sane(text: str | None) -> str | None:
    return text if text and _SANE_ID.fullmatch(text) else None
