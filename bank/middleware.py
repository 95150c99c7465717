"""Django's middleware for people: for the admin alone; and the way past it, for the API."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.response import ResponseHeaders
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import get_resolver
from django.utils.functional import cached_property

from accounts.api_view import AnswerHeaders
from bank.api_routes import ApiRoutes, api_routes
from bank.request_record import name_stream

Handler: TypeAlias = Callable[[HttpRequest], HttpResponse]

MAX_KNOWN_HOSTS = 100


class ApiMiddleware:
    """Leads requests of the API past all middleware that comes after it, which is for people's pages.

    What the API needs of that it gets here: names that the bank does not answer to are refused, and answers say how
    long they are and what SecurityMiddleware says of every answer. A request that must be redirected to HTTPS goes on
    to what redirects it.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self._any_view = innermost(get_response)
        # Nothing here is awaited, whatever its types allow for.
        self._answer: Handler = convert_exception_to_response(self._answered)  # type: ignore[assignment]
        self._redirects = settings.SECURE_SSL_REDIRECT
        self._headers = {is_secure: _security_headers(is_secure) for is_secure in (False, True)}
        self._known_hosts: set[str] = set()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_secure = request.is_secure()
        if not is_for_the_api(request.path_info) or (self._redirects and not is_secure):
            return self.get_response(request)
        self._check_host(request)
        response = self._answer(request)
        headers, secure = response.headers, self._headers[is_secure]
        if isinstance(headers, AnswerHeaders):
            headers.fill_in(secure)
        else:
            for name, value in secure.items():
                headers.setdefault(name, value)
        if not response.streaming:
            headers.setdefault("Content-Length", str(len(response.content)))
        return response

    @cached_property
    def _routes(self) -> ApiRoutes:
        return api_routes(get_resolver())

    def _answered(self, request: HttpRequest) -> HttpResponse:
        """Return what the view answers, as Django would call it: no middleware but ours has a say in that."""
        found = self._routes.find(request.path_info)
        if found is None:
            return self._any_view(request)
        request.resolver_match, path = found
        name_stream(path)
        response: HttpResponse = request.resolver_match.func(request, **path)
        return response

    def _check_host(self, request: HttpRequest) -> None:
        """Raise DisallowedHost for a name that the bank does not answer to; names that passed once are known."""
        host = request.META.get("HTTP_HOST")
        if host not in self._known_hosts:
            request.get_host()
            if host and len(self._known_hosts) < MAX_KNOWN_HOSTS:
                self._known_hosts.add(host)


def is_for_the_api(path: str) -> bool:
    """Tell whether `path` is the API's: not a page about it."""
    return path.startswith("/api/") and not path.startswith("/api/docs")


def innermost(get_response: Handler) -> Handler:
    """Return what the last middleware of the chain that begins with `get_response` calls.

    Django wraps each middleware into what turns its exceptions into answers; that leads on to the middleware itself.
    """
    while inner := getattr(getattr(get_response, "__wrapped__", None), "get_response", None):
        get_response = inner
    return get_response


def _security_headers(is_secure: bool) -> ResponseHeaders:
    request = HttpRequest()
    request.is_secure = lambda: is_secure  # type: ignore[method-assign]
    answer = HttpResponse()
    del answer.headers["Content-Type"]
    return SecurityMiddleware(lambda _: answer).process_response(request, answer).headers


class _ForTheAdmin:
    """Lets the API pass: it has no session, no cookie and no form, and should not pay for them."""

    paths: ClassVar[tuple[str, ...]] = ("/admin",)
    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(self.paths):
            return super().__call__(request)  # type: ignore[misc]  # of the middleware that it is mixed into
        return self.get_response(request)


class AdminSessionMiddleware(_ForTheAdmin, SessionMiddleware):
    """Sessions of staff."""


class AdminCsrfMiddleware(_ForTheAdmin, CsrfViewMiddleware):
    """Forms of staff."""


class AdminAuthenticationMiddleware(_ForTheAdmin, AuthenticationMiddleware):
    """Who of the staff it is."""


class AdminMessageMiddleware(_ForTheAdmin, MessageMiddleware):
    """What the admin tells staff on their next page."""


class AdminFrameMiddleware(_ForTheAdmin, XFrameOptionsMiddleware):
    """No page of the admin inside a frame."""


class AdminSignInMiddleware(_ForTheAdmin, AxesMiddleware):  # type: ignore[misc]  # axes has no types
    """Tells who guessed too often that the door is shut for a while."""


class PageContentMiddleware(_ForTheAdmin, CSPMiddleware):
    """No page that loads anything from elsewhere, be it the admin's or the API's documentation."""

    paths = ("/admin", "/api/docs")
