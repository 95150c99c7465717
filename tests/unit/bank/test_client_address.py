"""Where requests come from: proxies are believed as far as they are trusted."""

import pytest
from django.test import RequestFactory

from bank.client_address import client_address


def address(settings, *, proxies: int, forwarded: str | None = None) -> str | None:
    settings.TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.9"))


@pytest.mark.parametrize("forwarded", [None, "", "203.0.113.7", "198.51.100.1, 203.0.113.7", "nonsense"])
def test_without_proxies_the_header_is_hearsay(settings, forwarded):
    assert address(settings, proxies=0, forwarded=forwarded) == "10.0.0.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (2, "forged, 203.0.113.7,10.0.0.8", "203.0.113.7"),
        (1, "2001:db8::7", "2001:db8::7"),
        (2, "203.0.113.7", "10.0.0.9"),
        (1, "nonsense", "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, None, "10.0.0.9"),
    ],
)
def test_each_proxy_vouches_for_one_hop(settings, proxies, forwarded, expected):
    assert address(settings, proxies=proxies, forwarded=forwarded) == expected
