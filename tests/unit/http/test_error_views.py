"""Errors that never reach DRF are problems too, but pages where people look."""

import logging
from logging.handlers import MemoryHandler

import django.db
import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import Client
from django.urls import path

from bank.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

ERRORS = {
    "crash": (ZeroDivisionError("secret"), 500, "internal_error"),
    "outage": (django.db.OperationalError("secret"), 503, "store_unavailable"),
    "forbidden": (PermissionDenied("secret"), 403, "forbidden"),
    "suspicious": (SuspiciousOperation("secret"), 400, "validation_error"),
}


def fail(request, name: str):
    raise ERRORS[name][0]


urlpatterns = [path("api/<str:name>", fail), path("admin/<str:name>", fail)]


@pytest.fixture(autouse=True)
def failing_urls(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False, SERVER_NAME="localhost", headers={"X-Request-Id": "req-1"})


@pytest.mark.parametrize("name", ERRORS)
def test_programs_are_told_a_problem(client, name):
    _, status, code = ERRORS[name]
    response = client.get(f"/api/{name}")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["requestId"]) == (code, "req-1")
    assert response.headers["X-Request-Id"] == "req-1"
    assert b"secret" not in response.content
    assert ("Retry-After" in response.headers) == (status == 503)


@pytest.mark.parametrize("name", ERRORS)
def test_people_are_shown_a_page(client, name):
    _, status, _ = ERRORS[name]
    response = client.get(f"/admin/{name}")
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/plain" if status == 503 else "text/html")
    assert ("Retry-After" in response.headers) == (status == 503)
    assert b"secret" not in response.content


def test_an_unknown_url(client):
    assert client.get("/nowhere/at/all").json()["code"] == "not_found"
    assert client.get("/admin/no/where").headers["Content-Type"].startswith("text/html")


def test_a_fault_of_the_bank_is_logged_with_its_traceback(client):
    logger, kept = logging.getLogger("django.request"), MemoryHandler(capacity=10)
    logger.addHandler(kept)
    try:
        client.get("/api/crash")
    finally:
        logger.removeHandler(kept)
    [record] = kept.buffer
    assert record.exc_info
    assert record.exc_info[1] is ERRORS["crash"][0]


def test_the_api_neither_reads_nor_sets_cookies(client):
    client.cookies["sessionid"] = "some-session"
    response = client.get("/api/crash")
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")
