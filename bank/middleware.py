"""Django's middleware for people, for the admin alone."""

from collections.abc import Callable
from typing import Any, ClassVar

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware


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
