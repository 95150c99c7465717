"""What the bank's web server writes down of requests: who asked for what, and nothing that nobody may read."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.journeys.account_api import events_of, open_account
from tests.journeys.principals import bearer, issue_token
from tests.journeys.web_server import web_server
from tests.polling import wait_until


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def bank(django_db_setup, directory) -> Iterator[httpx.Client]:
    with web_server(var_dir=directory, API_AUTH="token", LOG_LEVEL="DEBUG") as client:
        yield client


def lines_of(directory: Path, request_id: str) -> list[dict[str, Any]]:
    """Return all lines about a request that was answered; what granian itself says as it starts is no JSON."""
    text = (directory / "web.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("requestId") == request_id]


def test_a_command_is_logged_with_its_client_and_its_stream_and_without_its_secrets(bank, directory):
    client, secret = f"client-{uuid4()}", f"secret-{uuid4()}"
    token = issue_token(client)
    account_id = open_account(bank, headers=bearer(token))
    request_id, correlation_id = str(uuid4()), str(uuid4())
    answer = bank.post(
        f"/api/accounts/{account_id}/deposits",
        json={"amount": 5, "currency": "USD", "description": secret, "commandId": str(uuid4())},
        headers={"X-Request-Id": request_id, "X-Correlation-Id": correlation_id, "Cookie": secret, **bearer(token)},
    )
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (201, request_id)
    assert events_of(account_id)[-1].metadata["correlationId"] == correlation_id
    [line] = wait_until(lambda: lines_of(directory, request_id))
    assert line.pop("duration_ms") > 0 and line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "bank.requests",
        "method": "POST",
        "route": "api/accounts/<str:account_id>/deposits",
        "status": 201,
        "requestId": request_id,
        "correlationId": correlation_id,
        "actor": client,
        "streamId": f"account-{account_id}",
    }
    log = (directory / "web.log").read_text()
    assert token not in log and secret not in log


def test_opening_an_account_names_the_stream_that_it_begins(bank, directory):
    request_id = str(uuid4())
    token = issue_token(f"client-{uuid4()}")
    account_id = open_account(bank, headers={"X-Request-Id": request_id, **bearer(token)})
    [line] = wait_until(lambda: lines_of(directory, request_id))
    assert line["streamId"] == f"account-{account_id}"


def test_the_next_request_of_a_thread_bears_nothing_of_the_one_before(bank, directory):
    token = issue_token(f"client-{uuid4()}")
    for _ in range(8):
        open_account(bank, headers=bearer(token))
        request_id = str(uuid4())
        assert bank.get("/nowhere", headers={"X-Request-Id": request_id}).status_code == 404
        [line] = wait_until(partial(lines_of, directory, request_id))
        assert not {"actor", "streamId"} & line.keys()


def test_a_token_that_is_refused_is_not_written_down(bank, directory):
    request_id, wrong = str(uuid4()), uuid4().hex
    headers = {"X-Request-Id": request_id, **bearer(wrong)}
    assert bank.get(f"/api/accounts/{uuid4()}", headers=headers).status_code == 401
    [line] = wait_until(lambda: lines_of(directory, request_id))
    assert (line["status"], "actor" in line) == (401, False)
    assert wrong not in (directory / "web.log").read_text()


def test_a_query_string_is_not_written_down(bank, directory):
    request_id, secret = str(uuid4()), f"secret-{uuid4()}"
    headers = {"X-Request-Id": request_id, **bearer(issue_token(f"client-{uuid4()}"))}
    assert bank.get(f"/api/accounts?ownerId={secret}", headers=headers).status_code == 200
    assert bank.post(f"/api/accounts?hint={secret}", json={}, headers=headers).status_code == 400
    wait_until(lambda: len(lines_of(directory, request_id)) == 2)
    assert secret not in (directory / "web.log").read_text()


def test_what_machines_ask_is_logged_for_those_who_look_for_it(bank, directory):
    request_id = str(uuid4())
    assert bank.get("/health/live", headers={"X-Request-Id": request_id}).status_code == 200
    [line] = wait_until(lambda: lines_of(directory, request_id))
    assert (line["route"], line["level"]) == ("health/live", "debug")
