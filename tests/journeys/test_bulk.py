"""Many commands in one request: each by itself, or all of them or none, and safe to send again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from eventstore.store import event_store
from tests.journeys.account_api import deposit, events_of, open_account, problem
from tests.journeys.principals import bearer, issue_token
from tests.journeys.test_command_outcomes import outcome


def movement(kind: str, account_id: str, amount: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "accountId": account_id, "amount": amount, "currency": "USD", **fields}


def put(account_id: str, amount: int, **fields: Any) -> dict[str, Any]:
    return movement("DepositMoney", account_id, amount, **fields)


def take(account_id: str, amount: int, **fields: Any) -> dict[str, Any]:
    return movement("WithdrawMoney", account_id, amount, **fields)


def transfer(source: str, destination: str, amount: int, **fields: Any) -> dict[str, Any]:
    ends = {"sourceAccountId": source, "destinationAccountId": destination}
    return {"type": "InitiateTransfer", **ends, "amount": amount, "currency": "USD", **fields}


def send(api: httpx.Client, *commands: Any, atomic: Any = False, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    return api.post("/api/commands", json={"atomic": atomic, "commands": commands, **fields}, headers=headers)


def results(response: httpx.Response, *, status: int = 200) -> list[dict[str, Any]]:
    assert response.status_code == status, response.text
    told: list[dict[str, Any]] = response.json()["results"]
    assert [one["index"] for one in told] == list(range(len(told)))
    return told


def balance(account_id: str) -> int:
    signs = {"MoneyDeposited": 1, "MoneyWithdrawn": -1}
    return sum(signs.get(event.event_type, 0) * event.data.get("amount", 0) for event in events_of(account_id))


def test_commands_of_every_kind_each_by_itself_in_their_order(api):
    first, second = f"acc-{uuid4()}", open_account(api)
    told = results(
        send(
            api,
            {"type": "CreateAccount", "accountId": first, "ownerId": "user-1", "currency": "USD"},
            put(first, 1000, transactionId="txn-1"),
            take(first, 300),
            take(first, 5000),
            transfer(first, second, 200, transferId=f"trf-{first}"),
            {"type": "FreezeAccount", "accountId": second, "reason": "review"},
            put(second, 1),
            {"type": "UnfreezeAccount", "accountId": second},
            take(second, 200),
            {"type": "CloseAccount", "accountId": second},
        )
    )
    refusals = {3: "insufficient_funds", 6: "account_frozen"}
    for one in told:
        code = refusals.get(one["index"])
        assert one["status"] == ("refused" if code else "accepted")
        assert (one["httpStatus"], one["replayed"]) == (422 if code else 201, False)
        if code:
            assert one["problem"]["code"] == code
    assert told[2]["result"]["balance"] == 700
    assert (told[4]["result"]["state"], told[4]["result"]["transferId"]) == ("COMPLETED", f"trf-{first}")
    assert (balance(first), balance(second)) == (500, 0)
    assert [event.event_type for event in events_of(second)][-1] == "AccountClosed"


def test_all_of_them_in_one_commit(api):
    first, second = open_account(api, balance=1000), open_account(api)
    told = results(
        send(api, put(first, 500), transfer(first, second, 1500), take(second, 1500), atomic=True), status=201
    )
    assert [one["status"] for one in told] == ["accepted"] * 3
    assert told[0]["result"]["balance"] == 1500
    assert told[1]["result"]["state"] == "COMPLETED"
    assert told[2]["result"]["balance"] == 0
    # One commit: its events stand together in the log.
    own = sorted(
        event.position
        for stream in (
            events_of(first)[2:],
            events_of(second)[1:],
            event_store().read_stream(f"transfer-{told[1]['result']['transferId']}", limit=10),
        )
        for event in stream
    )
    assert own == list(range(own[0], own[0] + 6)) and {one["result"]["position"] for one in told} == {own[-1]}


def test_none_of_them_if_one_is_refused(api):
    first, second = open_account(api, balance=1000), open_account(api)
    before = event_store().head_position()
    response = send(api, put(first, 500), transfer(first, second, 2000), take(second, 1), atomic=True)
    refusal = problem(response, status=422, code="insufficient_funds")
    assert (refusal["index"], refusal["balance"], refusal["amount"]) == (1, 1500, 2000)
    response = send(api, put(first, 500), put(f"acc-{uuid4()}", 1), atomic=True)
    assert problem(response, status=404, code="account_not_found")["index"] == 1
    assert event_store().head_position() == before


def test_a_version_is_expected_at_the_turn_of_its_command(api):
    account_id = open_account(api)
    commands = [put(account_id, 5, expectedVersion=1), put(account_id, 5, expectedVersion=2)]
    results(send(api, *commands, atomic=True), status=201)
    conflict = problem(send(api, *commands, atomic=True), status=409, code="version_conflict")
    assert (conflict["expectedVersion"], conflict["actualVersion"], conflict["index"]) == (1, 3, 0)
    told = results(send(api, put(account_id, 5, expectedVersion=3), put(account_id, 5, expectedVersion=3)))
    assert [one["httpStatus"] for one in told] == [201, 409]
    assert (told[1]["problem"]["code"], told[1]["problem"]["actualVersion"]) == ("version_conflict", 4)
    assert balance(account_id) == 15


@pytest.mark.parametrize("atomic", [False, True])
def test_the_whole_is_sent_again(api, atomic):
    account_id, key = open_account(api, balance=100), str(uuid4())
    commands = [put(account_id, 5), take(account_id, 7)]
    first = send(api, *commands, atomic=atomic, headers={"Idempotency-Key": key})
    again = send(api, *commands, atomic=atomic, commandId=key)
    told = [[{**one, "replayed": None} for one in answer.json()["results"]] for answer in (first, again)]
    assert told[0] == told[1]
    if atomic:
        assert (first.status_code, again.status_code) == (201, 201)
        assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
        assert outcome(api, key).json()["result"] == first.json()
    else:
        assert {one["replayed"] for one in results(again)} == {True}
        assert outcome(api, key).json()["result"] == {"atomic": False, "commands": 2}
        assert outcome(api, f"{key}#1").json()["result"]["balance"] == 98
    assert balance(account_id) == 98
    for other in ([*commands, put(account_id, 1)], [put(account_id, 6), commands[1]], commands[::-1]):
        problem(send(api, *other, atomic=atomic, commandId=key), status=422, code="idempotency_key_reused")
    problem(send(api, *commands, atomic=not atomic, commandId=key), status=422, code="idempotency_key_reused")
    assert balance(account_id) == 98


def test_a_refused_whole_stays_refused(api):
    account_id, key = open_account(api, balance=100), str(uuid4())
    commands = [put(account_id, 5), take(account_id, 500)]
    first = problem(send(api, *commands, atomic=True, commandId=key), status=422, code="insufficient_funds")
    deposit(api, account_id, amount=1000)
    again = send(api, *commands, atomic=True, commandId=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(again, status=422, code="insufficient_funds")["balance"] == first["balance"] == 105
    assert outcome(api, key).json()["problem"]["index"] == 1


def test_a_commands_own_key_is_the_same_in_a_request_of_its_own(api):
    account_id, key = open_account(api), str(uuid4())
    [told] = results(send(api, put(account_id, 5, commandId=key, description="salary")))
    alone = deposit(api, account_id, amount=5, description="salary", commandId=key)
    assert alone.headers["Idempotent-Replayed"] == "true" and alone.json() == told["result"]
    [again, other] = results(
        send(api, put(account_id, 5, commandId=key, description="salary"), put(account_id, 6, commandId=key))
    )
    assert again["replayed"] and again["result"] == told["result"]
    assert (other["httpStatus"], other["problem"]["code"]) == (422, "idempotency_key_reused")
    for_somebody = put(account_id, 1, commandId=str(uuid4()))
    results(send(api, for_somebody, actor="somebody"))
    repeated = deposit(api, account_id, amount=1, actor="somebody", commandId=for_somebody["commandId"])
    assert repeated.headers["Idempotent-Replayed"] == "true"
    [other] = results(send(api, for_somebody, actor="somebody else"))
    assert other["problem"]["code"] == "idempotency_key_reused"
    twice = put(account_id, 9, commandId=str(uuid4()))
    assert [one["replayed"] for one in results(send(api, twice, twice))] == [False, True]
    assert balance(account_id) == 15


def test_the_same_bulk_many_times_at_once_is_done_once(api):
    accounts, key = [open_account(api) for _ in range(5)], str(uuid4())
    commands = [put(account_id, number) for number in range(1, 11) for account_id in accounts]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(api, *commands, commandId=key), range(8)))
    told = [[one["result"] for one in results(answer)] for answer in answers]
    assert all(one == told[0] for one in told)
    assert [balance(account_id) for account_id in accounts] == [55] * 5


def test_a_thousand_commands(api):
    accounts = [open_account(api) for _ in range(10)]
    told = results(send(api, *[put(account_id, 1) for _ in range(100) for account_id in accounts]))
    assert {one["httpStatus"] for one in told} == {201} and len(told) == 1000
    assert {event_store().read_stream(f"account-{one}", limit=200)[-1].version for one in accounts} == {101}


def errors(response: httpx.Response) -> dict[str, str]:
    found = problem(response, status=400, code="validation_error")["errors"]
    return {error.get("pointer") or error.get("header"): error["code"] for error in found}


def test_content_that_is_not_valid_is_refused_whole(api):
    account_id = open_account(api)
    good = put(account_id, 5)
    found = errors(send(api, good, put(account_id, 0), {"type": "Give"}, [], {"accountId": "x"}, {**good, "memo": "x"}))
    assert found == {
        "/commands/1/amount": "too_small",
        "/commands/2/type": "unknown_type",
        "/commands/3": "not_an_object",
        "/commands/4/type": "required",
        "/commands/5/memo": "unknown_field",
    }
    assert errors(send(api)) == {"/commands": "empty"}
    assert errors(send(api, *[good] * 1001)) == {"/commands": "too_many"}
    assert errors(api.post("/api/commands", json={"commands": {}})) == {"/commands": "not_a_list"}
    assert errors(api.post("/api/commands", json={})) == {"/commands": "required"}
    assert errors(send(api, good, atomic="yes")) == {"/atomic": "not_a_boolean"}
    keyed = {**good, "commandId": "k"}
    assert errors(send(api, good, keyed, atomic=True)) == {"/commands/1/commandId": "not_in_atomic"}
    assert errors(send(api, good, headers={"If-Match": '"1"'})) == {"If-Match": "not_applicable"}
    own = put(account_id, 5, commandId="whole#0")
    assert errors(send(api, good, own, commandId="whole")) == {"/commands/1/commandId": "reserved"}
    assert len(errors(send(api, *[put(account_id, 0)] * 100))) == 20
    assert len(events_of(account_id)) == 1


def test_each_command_needs_its_permission_and_its_key_and_its_account(guarded):
    client, other = issue_token(f"client-{uuid4()}"), issue_token(f"client-{uuid4()}")
    mine = open_account(guarded, headers=bearer(client))
    theirs = open_account(guarded, headers=bearer(other))
    freeze = {"type": "FreezeAccount", "accountId": mine}
    for atomic in (False, True):
        key = {"commandId": str(uuid4())}
        response = send(guarded, put(mine, 5), freeze, atomic=atomic, headers=bearer(client), **key)
        problem(response, status=403, code="forbidden")
        response = send(guarded, put(mine, 5), atomic=atomic, headers=bearer(client))
        problem(response, status=400, code="idempotency_key_required")
    told = results(send(guarded, put(mine, 5), put(theirs, 5), headers=bearer(client), commandId=str(uuid4())))
    assert [one["httpStatus"] for one in told] == [201, 404]
    response = send(guarded, put(mine, 5), put(theirs, 5), atomic=True, headers=bearer(client), commandId=str(uuid4()))
    assert problem(response, status=404, code="account_not_found")["index"] == 1
    problem(send(guarded, put(mine, 5), commandId="k"), status=401, code="unauthenticated")
    assert (balance(mine), balance(theirs)) == (5, 0)
    assert events_of(mine)[-1].metadata["commandId"].endswith("#0")
