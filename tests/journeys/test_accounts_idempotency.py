"""A request with a key is carried out once; whoever sends it again gets the first answer again."""

from typing import Any
from uuid import uuid4

import httpx

from tests.journeys.account_api import deposit, events_of, open_account, problem, withdraw


def is_replay_of(first: httpx.Response, again: httpx.Response) -> bool:
    """Tell whether `again` is the first answer, byte by byte, under a request id of its own."""
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    same = [(answer.status_code, answer.content, answer.headers["ETag"]) for answer in (first, again)]
    return same[0] == same[1]


def test_everything_withdrawn_with_a_key_and_sent_again(api):
    account_id = open_account(api, balance=1000)
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": f'"{uuid4()}"'}, "amount": 1000}
    first = withdraw(api, account_id, **keyed)
    assert (first.status_code, first.json()["balance"]) == (201, 0)
    assert is_replay_of(first, withdraw(api, account_id, **keyed))
    deposit(api, account_id)
    assert is_replay_of(first, withdraw(api, account_id, **keyed))
    assert len(events_of(account_id)) == 4


def test_an_opening_and_a_closing_sent_again(api):
    account_id, key = f"acc-{uuid4()}", str(uuid4())
    content = {"accountId": account_id, "ownerId": "user-1", "currency": "USD", "commandId": key}
    first = api.post("/api/accounts", json=content)
    assert first.status_code == 201
    # The same key as a header is the same request.
    bare = {name: value for name, value in content.items() if name != "commandId"}
    assert is_replay_of(first, api.post("/api/accounts", json=bare, headers={"Idempotency-Key": key}))

    closing: dict[str, Any] = {"json": {"reason": "owner's wish"}, "headers": {"Idempotency-Key": str(uuid4())}}
    closed = api.post(f"/api/accounts/{account_id}/close", **closing)
    assert closed.status_code == 201
    assert is_replay_of(closed, api.post(f"/api/accounts/{account_id}/close", **closing))
    assert len(events_of(account_id)) == 2


def test_a_refusal_is_a_verdict_for_its_key(api):
    account_id = open_account(api)
    key = {"Idempotency-Key": str(uuid4())}
    refused = withdraw(api, account_id, headers=key)
    told = problem(refused, status=422, code="insufficient_funds")
    assert deposit(api, account_id).status_code == 201

    again = withdraw(api, account_id, headers=key)
    told_again = problem(again, status=422, code="insufficient_funds")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert {**told_again, "requestId": None} == {**told, "requestId": None}
    assert withdraw(api, account_id, headers={"Idempotency-Key": str(uuid4())}).status_code == 201


def test_a_key_belongs_to_one_request(api):
    account_id, other_id = open_account(api), open_account(api)
    key = {"Idempotency-Key": str(uuid4())}
    assert deposit(api, account_id, headers=key).status_code == 201
    others = [
        deposit(api, account_id, headers=key, amount=999),
        deposit(api, account_id, headers=key, transactionId="txn-1"),
        deposit(api, account_id, headers=key | {"If-Match": '"1"'}),
        deposit(api, other_id, headers=key),
        withdraw(api, account_id, headers=key),
    ]
    for other in others:
        problem(other, status=422, code="idempotency_key_reused")
    assert (len(events_of(account_id)), len(events_of(other_id))) == (2, 1)


def test_a_replay_comes_before_the_expected_version(api):
    account_id = open_account(api)
    headers = {"Idempotency-Key": str(uuid4()), "If-Match": '"1"'}
    first = deposit(api, account_id, headers=headers)
    assert is_replay_of(first, deposit(api, account_id, headers=headers))


def test_a_request_that_was_not_valid_may_be_corrected_under_its_key(api):
    account_id = open_account(api)
    key = {"Idempotency-Key": str(uuid4())}
    problem(deposit(api, account_id, headers=key, amount="1000"), status=400, code="validation_error")
    problem(deposit(api, account_id, headers=key, expectedVersion=7), status=409, code="version_conflict")
    assert deposit(api, account_id, headers=key).status_code == 201
