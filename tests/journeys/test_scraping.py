"""Whoever watches the bank is answered when it matters most: while its database is away."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.journeys.account_api import problem
from tests.journeys.principals import bearer
from tests.journeys.web_server import WebServer
from tests.polling import wait_until

TOKEN = uuid4().hex
NO_DATABASE = "postgres://bank@127.0.0.1:1/bank"


@pytest.fixture(scope="module")
def bank(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a web server that has never seen its database."""
    variables = {"API_AUTH": "token", "METRICS_TOKEN": TOKEN, "DATABASE_URL": NO_DATABASE}
    server = WebServer(var_dir=tmp_path_factory.mktemp("scraping"), **variables)
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            wait_until(lambda: lives(client))
            yield client
    finally:
        server.stop()


def lives(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_the_token_for_metrics_needs_no_database(bank):
    for _ in range(2):
        told = bank.get("/metrics", headers=bearer(TOKEN))
        assert told.status_code == 200
        assert "\nbank_store_up 0.0\n" in told.text
        assert "\nbank_http_request_duration_seconds_count{" in told.text
        assert "eventstore_head_position" not in told.text


def test_any_other_has_to_be_looked_up(bank):
    for wrong in (uuid4().hex, TOKEN[:-1], f"{TOKEN}0"):
        refused = bank.get("/metrics", headers=bearer(wrong))
        problem(refused, status=503, code="store_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
    problem(bank.get("/metrics"), status=401, code="unauthenticated")


def test_it_opens_nothing_else(bank):
    deposit = {"amount": 1, "currency": "USD", "commandId": "c-1"}
    for answer in (
        bank.get("/api/accounts", headers=bearer(TOKEN)),
        bank.get("/api/accounts/acc-1", headers=bearer(TOKEN)),
        bank.get("/api/commands/c-1", headers=bearer(TOKEN)),
        bank.post("/api/accounts/acc-1/deposits", json=deposit, headers=bearer(TOKEN)),
    ):
        problem(answer, status=403, code="forbidden")
