"""The door of a bank for this machine alone: open API or DEBUG, and nobody from elsewhere."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from bank.loopback import is_loopback
from bank.problems import Problem, problem_response


class LoopbackOnlyMiddleware:
    """Refuses every request from another machine while the API is open or DEBUG is on.

    The settings cannot know where a server really listens; only a request tells. A proxy on this machine says in
    X-Forwarded-For for whom it asks: that must be this machine too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if settings.API_AUTH != "open" and not settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        senders = [request.META.get("REMOTE_ADDR") or ""]
        if forwarded := request.META.get("HTTP_X_FORWARDED_FOR"):
            senders += forwarded.split(",")
        if all(is_loopback(sender.strip()) for sender in senders):
            return self.get_response(request)
        detail = "With API_AUTH=open or DEBUG the bank answers the machine that it runs on, and no other."
        return problem_response(problem=Problem(code="forbidden", detail=detail), request=request)
