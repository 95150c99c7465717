"""Did it go through? A client asks for the verdict on a command by its key."""

from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.journeys.account_api import deposit, open_account, problem, withdraw


def outcome(api: httpx.Client, key: str) -> httpx.Response:
    return api.get(f"/api/commands/{quote(key, safe='')}")


def test_a_command_that_went_through(api):
    account_id, key = open_account(api), str(uuid4())
    problem(outcome(api, key), status=404, code="not_found")
    first = deposit(api, account_id, commandId=key)
    assert first.status_code == 201
    deposit(api, account_id)

    response = outcome(api, key)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    told = response.json()
    assert told.pop("recordedAt").endswith("Z")
    assert told == {
        "commandId": key,
        "status": "accepted",
        "httpStatus": 201,
        "position": first.json()["position"],
        "result": first.json(),
    }


def test_a_command_that_was_refused(api):
    account_id, key = open_account(api), str(uuid4())
    refused = problem(withdraw(api, account_id, commandId=key), status=422, code="insufficient_funds")

    response = outcome(api, key)
    assert response.status_code == 200
    told = response.json()
    assert (told["commandId"], told["status"], told["httpStatus"]) == (key, "refused", 422)
    assert told["position"] is None
    assert {**told["problem"], "requestId": None} == {**refused, "requestId": None}
    assert "result" not in told


def test_what_is_no_verdict_is_not_found(api):
    account_id, key = open_account(api), str(uuid4())
    problem(deposit(api, account_id, commandId=key, amount=0), status=400, code="validation_error")
    problem(deposit(api, account_id, commandId=key, expectedVersion=9), status=409, code="version_conflict")
    problem(outcome(api, key), status=404, code="not_found")


@pytest.mark.parametrize("form", ["a/b/../c {}", "übertrag {}", "100% {} ?#&", "{}".ljust(221, "x"), ".{}"])
def test_any_key_can_be_asked_for(api, form):
    account_id, key = open_account(api), form.format(uuid4())
    first = deposit(api, account_id, commandId=key)
    assert first.status_code == 201
    told = outcome(api, key).json()
    assert (told["commandId"], told["result"]) == (key, first.json())


@pytest.mark.parametrize("key", ["a\0b", "a\tb", " ", "x" * 256])
def test_what_can_be_no_key(api, key):
    document = problem(outcome(api, key), status=400, code="validation_error")
    assert [error["parameter"] for error in document["errors"]] == ["commandId"]


def test_a_verdict_takes_no_parameters(api):
    response = api.get(f"/api/commands/{uuid4()}", params={"scope": "open"})
    assert problem(response, status=400, code="validation_error")["errors"][0]["parameter"] == "scope"
