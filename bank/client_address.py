"""Where a request comes from, as far as it can be believed."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str | None:
    """Return the address that reached the first of settings.TRUSTED_PROXIES; that of the sender if there is none.

    None for what is no request of anybody's, as when Django signs a user in by itself.

    Each proxy adds the address it was reached from at the end of X-Forwarded-For; what stands before those is hearsay.
    A request that came past the proxies comes from its sender.
    """
    sender: str | None = request.META.get("REMOTE_ADDR")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.TRUSTED_PROXIES <= len(forwarded):
        return sender
    try:
        return str(ip_address(forwarded[-settings.TRUSTED_PROXIES].strip()))
    except ValueError:
        return sender
