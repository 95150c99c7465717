"""Django's middleware for people, for the admin alone."""

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin


class _ForTheAdmin(MiddlewareMixin):
    """Lets the API pass: it has no session, no cookie and no form, and should not pay for them."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith("/admin"):
            return super().__call__(request)
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
