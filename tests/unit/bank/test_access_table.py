"""docs/access.md names every request and every page, each with the permission that its view names."""

import re

from django.contrib import admin
from django.urls import URLPattern, get_resolver

from accounts.permissions import Permission
from bank.by_method import ByMethod
from bank.models import AccountGrant
from tests.access_table import ANYBODY, admin_rows, api_rows


def test_every_request_and_its_permission():
    served = {}
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern):
            path = "/" + re.sub(r"<\w+:\w+>", "{}", str(pattern.pattern))
            assert isinstance(pattern.callback, ByMethod), path
            for method, view in pattern.callback.views.items():
                served[method, path] = str(view.cls.permission) if hasattr(view, "cls") else ANYBODY
    assert {(row.method, re.sub(r"{\w+}", "{}", row.path)): row.permission for row in api_rows()} == served


def test_every_page_of_the_admin():
    assert set(admin_rows()) == {model._meta.label_lower for model in admin.site._registry}


def test_every_permission_can_be_held():
    assert {codename for codename, _ in AccountGrant._meta.permissions} == set(Permission)
