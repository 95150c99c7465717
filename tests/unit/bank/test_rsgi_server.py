"""Which requests are fibers."""

import pytest
from django.urls import URLPattern, get_resolver

from bank.by_method import ByMethod
from bank.rsgi_server import ViewsTellWhether

FIBERS = {
    ("POST", "api/accounts"),
    ("GET", "api/accounts/<str:account_id>"),
    ("GET", "api/accounts/<str:account_id>/balance"),
    ("POST", "api/accounts/<str:account_id>/deposits"),
    ("POST", "api/accounts/<str:account_id>/withdrawals"),
    ("POST", "api/accounts/<str:account_id>/freeze"),
    ("POST", "api/accounts/<str:account_id>/unfreeze"),
    ("POST", "api/accounts/<str:account_id>/close"),
    ("POST", "api/transfers"),
}


def test_commands_and_one_account_s_reads_are_fibers_and_nothing_else():
    """Pages, lists, histories, bulks and repairs may take long by themselves, and keep to threads."""
    views = ViewsTellWhether()
    patterns = [one for one in get_resolver().url_patterns if isinstance(one, URLPattern)]
    routes = [(str(one.pattern), one.callback) for one in patterns if isinstance(one.callback, ByMethod)]
    found = {
        (method, route)
        for route, view in routes
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE")
        if views.is_fiber(method, "/" + route.replace("<str:account_id>", "acc-1").replace("<str:transfer_id>", "t-1"))
    }
    assert found == FIBERS


@pytest.mark.parametrize("path", ["", "/", "/admin/", "/nowhere", "/api/accounts/", "*", "/api/accounts//balance"])
def test_what_is_no_path_of_the_api_is_none(path):
    assert not ViewsTellWhether().is_fiber("GET", path)
