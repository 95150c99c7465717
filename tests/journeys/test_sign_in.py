"""Staff at the door of the admin: guesses are limited, pages load nothing from elsewhere, and logs keep secrets."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User

from tests.journeys.web_server import running_web_server

LIMIT = 3
PASSWORD = "a-password-that-nobody-guesses"


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("admin")


@pytest.fixture(scope="module")
def url(django_db_setup, directory) -> Iterator[str]:
    variables = {"API_AUTH": "token", "SIGN_IN_FAILURE_LIMIT": str(LIMIT), "TRUSTED_PROXIES": "1", "LOG_LEVEL": "DEBUG"}
    with running_web_server(var_dir=directory, **variables) as server:
        yield server.url


@pytest.fixture
def staff_name(db) -> str:
    name = f"staff-{uuid4()}"
    User.objects.create_superuser(name, password=PASSWORD)
    return name


def sign_in(url: str, name: str, password: str, *, address: str) -> int:
    """Fill in the form, as if from `address`, and return the status: 302 lets in, 200 asks again, 429 is shut."""
    with httpx.Client(base_url=url, headers={"X-Forwarded-For": address}) as browser:
        form = browser.get("/admin/login/").text
        [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        fields = {"username": name, "password": password, "csrfmiddlewaretoken": token, "next": "/admin/"}
        response = browser.post("/admin/login/", data=fields, headers={"Referer": f"{url}/admin/login/"})
        if response.status_code == 302:
            assert browser.get("/admin/").status_code == 200
        return response.status_code


def test_who_guesses_is_shut_out_there_and_nobody_else(url, staff_name):
    def from_home(password: str) -> int:
        return sign_in(url, staff_name, password, address="203.0.113.7")

    assert from_home(PASSWORD) == 302
    assert [from_home(f"wrong-{number}") for number in range(LIMIT)] == [200] * (LIMIT - 1) + [429]
    assert from_home(PASSWORD) == 429
    assert sign_in(url, staff_name, PASSWORD, address="203.0.113.8") == 302
    # A forged beginning of the header is no other address.
    assert sign_in(url, staff_name, PASSWORD, address="198.51.100.9, 203.0.113.7") == 429
    other = f"other-{staff_name}"
    User.objects.create_superuser(other, password=PASSWORD)
    assert sign_in(url, other, PASSWORD, address="203.0.113.7") == 302


def test_a_right_password_forgives_the_wrong_ones(url, staff_name):
    for _ in range(2):
        for _ in range(LIMIT - 1):
            assert sign_in(url, staff_name, "wrong", address="203.0.113.9") == 200
        assert sign_in(url, staff_name, PASSWORD, address="203.0.113.9") == 302


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/admin/none", "/api/docs"])
def test_pages_load_nothing_from_elsewhere(url, path):
    response = httpx.get(f"{url}{path}")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    # What such a policy would keep from running or from being shown.
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|\sstyle=", response.text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', response.text)


def test_logs_keep_secrets(url, directory, staff_name):
    wrong, refused_token, secret = f"wrong-{uuid4()}", uuid4().hex, f"cookie-{uuid4().hex}"
    for password in (wrong, PASSWORD):
        sign_in(url, staff_name, password, address="203.0.113.10")
    headers = {"Authorization": f"Bearer {refused_token}", "Cookie": f"sessionid={secret}"}
    assert httpx.get(f"{url}/api/accounts", headers=headers).status_code == 401
    assert httpx.get(f"{url}/admin/", headers=headers).status_code == 302
    log = (directory / "web.log").read_text()
    assert "/admin/login/" in log or "admin/" in log
    for kept in (wrong, PASSWORD, refused_token, secret, settings.SECRET_KEY):
        assert kept not in log
