"""What each role finds in the back office, as docs/access.md says."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from bank.authentication import principal_of
from bank.models import AccountGrant
from tests.access_table import REFUSED, ROLES, admin_rows


def browser_of(role: str | None = None, **user: Any) -> Client:
    member = User.objects.create_user(f"staff-{uuid4()}", **user)
    if role:
        member.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(member)
    return browser


def changelist(page: str) -> str:
    return reverse(f"admin:{page.replace('.', '_')}_changelist")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_finds_its_pages(role):
    browser = browser_of(role, is_staff=True)
    found = {page: browser.get(changelist(page)).status_code for page in admin_rows()}
    assert found == {page: 403 if may[role] == REFUSED else 200 for page, may in admin_rows().items()}
    index = browser.get(reverse("admin:index")).content.decode()
    assert {page for page in admin_rows() if changelist(page) in index} == {
        page for page, status in found.items() if status == 200
    }


@pytest.mark.parametrize("role", ROLES)
def test_without_being_staff_a_role_opens_no_door(role):
    browser = browser_of(role)
    for page in admin_rows():
        response = browser.get(changelist(page))
        assert (response.status_code, response.headers["Location"].partition("?")[0]) == (302, reverse("admin:login"))


def test_a_superuser_grants_an_account_and_takes_it_back():
    browser = browser_of(is_staff=True, is_superuser=True)
    client = User.objects.create_user(f"client-{uuid4()}")
    for page in admin_rows():
        assert browser.get(changelist(page)).status_code == 200
    fields = {"client": client.pk, "account_id": "acc-granted"}
    assert browser.post(reverse("admin:bank_accountgrant_add"), fields).status_code == 302
    assert principal_of(user=User.objects.get(pk=client.pk)).reach.granted == {"acc-granted"}
    twice = browser.post(reverse("admin:bank_accountgrant_add"), fields)
    assert "already exists" in twice.content.decode()
    grant = AccountGrant.objects.get(client=client)
    assert browser.post(reverse("admin:bank_accountgrant_delete", args=(grant.pk,)), {"post": "yes"}).status_code == 302
    assert principal_of(user=User.objects.get(pk=client.pk)).reach.granted == frozenset()
