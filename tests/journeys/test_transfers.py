"""Transfers over HTTP: what is answered, what is recorded, what can be read."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.test import override_settings

from eventstore.store import event_store
from projections.runner import catch_up
from tests.integration.transfers.settlements import APART, no_settlements, transfer_in_suspense
from tests.journeys.account_api import deposit, events_of, open_account, problem
from tests.journeys.principals import bearer, issue_token
from tests.journeys.web_server import web_server
from tests.keyed_account_commands import OPEN, keyed, opened_with
from tests.transfer_books import transfer as ask
from transfers.domain.commands import ReleaseSuspense
from transfers.handlers import release_suspense, resume_transfer
from transfers.repository import transfer_stream_id


def transfer(api: httpx.Client, source: str, destination: str, **fields: Any) -> httpx.Response:
    """Transfer USD 2.50, unless `fields` say otherwise."""
    ends = {"sourceAccountId": source, "destinationAccountId": destination}
    return api.post("/api/transfers", json=ends | {"amount": 250, "currency": "USD"} | fields)


def balances(api: httpx.Client, *account_ids: str) -> list[int]:
    return [event_balance(account_id) for account_id in account_ids]


def event_balance(account_id: str) -> int:
    signs = {"MoneyDeposited": 1, "MoneyWithdrawn": -1}
    return sum(signs.get(event.event_type, 0) * event.data.get("amount", 0) for event in events_of(account_id))


def stands(api: httpx.Client, transfer_id: str, **query: Any) -> dict[str, Any]:
    response = api.get(f"/api/transfers/{transfer_id}", params=query)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def freeze(api: httpx.Client, account_id: str) -> None:
    assert api.post(f"/api/accounts/{account_id}/freeze", json={"reason": "review"}).status_code == 201


@pytest.fixture(scope="module")
def apart(django_db_setup, tmp_path_factory):
    """A client of a bank that debits in one commit and credits in another."""
    variables = {"API_AUTH": "open", "TRANSFER_STEPS": "apart"}
    with web_server(var_dir=tmp_path_factory.mktemp("apart"), **variables) as client:
        yield client


def test_the_line_of_the_seed_after_its_freeze(api):
    source, destination = open_account(api, balance=1000), open_account(api)
    freeze(api, source)
    document = problem(transfer(api, source, destination), status=422, code="account_frozen")
    assert stands(api, document["transferId"])["state"] == "FAILED"


def test_money_moves(api):
    source, destination = open_account(api, balance=1000), open_account(api)
    response = transfer(api, source, destination, transactionId="invoice-7", description="rent")
    assert response.status_code == 201
    document = response.json()
    assert document == {
        "status": "accepted",
        "transferId": document["transferId"],
        "state": "COMPLETED",
        "version": 2,
        "position": document["position"],
        "sourceAccountId": source,
        "destinationAccountId": destination,
        "amount": 250,
        "currency": "USD",
        "currencyExponent": 2,
    }
    assert balances(api, source, destination) == [750, 250]
    shown = stands(api, document["transferId"], minVersion=2)
    assert (shown["state"], shown["transactionId"], shown["description"]) == ("COMPLETED", "invoice-7", "rent")
    assert "failure" not in shown
    catch_up()
    assert stands(api, document["transferId"]) == shown
    for account_id, other in ((source, destination), (destination, source)):
        line = api.get(f"/api/accounts/{account_id}/history").json()["entries"][-1]
        assert (line["transferId"], line["counterparty"]) == (document["transferId"], other)
        assert (line["amount"], line["transactionId"], line["description"]) == (250, "invoice-7", "rent")


def test_steps_apart_move_money_too_and_give_it_back(apart):
    source, destination = open_account(apart, balance=1000), open_account(apart)
    assert transfer(apart, source, destination).json()["state"] == "COMPLETED"
    freeze(apart, destination)
    refused = problem(transfer(apart, source, destination), status=422, code="account_frozen")
    shown = stands(apart, refused["transferId"])
    assert shown["failure"] == {"code": "account_frozen", "refundedTo": source}
    assert balances(apart, source, destination) == [750, 250]
    catch_up()
    assert stands(apart, refused["transferId"]) == shown


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": "250"}, "/amount"),
        ({"currency": "XXY"}, "/currency"),
        ({"transferId": "a b"}, "/transferId"),
        ({"destinationAccountId": "suspense:USD"}, "/destinationAccountId"),
        ({"sourceAccountId": "suspense:USD"}, "/sourceAccountId"),
        ({"memo": "x"}, "/memo"),
    ],
)
def test_what_is_no_transfer_is_400_and_leaves_nothing(api, fields, pointer):
    source, destination = open_account(api, balance=1000), open_account(api)
    transfer_id = f"trf-{uuid4()}"
    document = problem(
        transfer(api, source, destination, **{"transferId": transfer_id} | fields), status=400, code="validation_error"
    )
    assert [error["pointer"] for error in document["errors"]] == [pointer]
    problem(api.get(f"/api/transfers/{transfer_id}"), status=404, code="transfer_not_found")


def test_an_account_cannot_send_to_itself(api):
    account_id = open_account(api, balance=1000)
    document = problem(transfer(api, account_id, account_id), status=400, code="validation_error")
    assert [error["code"] for error in document["errors"]] == ["same_account"]
    assert len(events_of(account_id)) == 2


def test_an_unknown_source_is_404_and_no_transfer_and_its_key_is_used_up(api):
    destination, key, transfer_id = open_account(api), str(uuid4()), f"trf-{uuid4()}"
    unknown = f"acc-{uuid4()}"
    for replayed in (None, "true"):
        response = transfer(api, unknown, destination, commandId=key, transferId=transfer_id)
        assert problem(response, status=404, code="account_not_found")["accountId"] == unknown
        assert response.headers.get("Idempotent-Replayed") == replayed
    assert event_store().read_stream(transfer_stream_id(transfer_id), limit=1) == []
    problem(api.get(f"/api/transfers/{transfer_id}"), status=404, code="transfer_not_found")
    told = api.get(f"/api/commands/{key}").json()
    assert (told["status"], told["httpStatus"], told["problem"]["code"]) == ("refused", 404, "account_not_found")


def test_every_other_refusal_is_a_failed_transfer_and_uses_up_its_key(api):
    source, key = open_account(api, balance=1000), str(uuid4())
    unknown = f"acc-{uuid4()}"
    refused = problem(transfer(api, source, unknown, commandId=key), status=422, code="destination_not_found")
    assert refused["accountId"] == unknown
    again = transfer(api, source, unknown, commandId=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(again, status=422, code="destination_not_found")["transferId"] == refused["transferId"]
    told = api.get(f"/api/commands/{key}").json()
    assert (told["status"], told["httpStatus"]) == ("refused", 422)
    assert told["problem"]["transferId"] == refused["transferId"]
    assert balances(api, source) == [1000]


def test_the_answer_of_a_command_can_be_asked_for(api):
    source, destination, key = open_account(api, balance=1000), open_account(api), str(uuid4())
    first = transfer(api, source, destination, commandId=key)
    told = api.get(f"/api/commands/{key}").json()
    assert (told["httpStatus"], told["result"]) == (201, first.json())


def test_a_command_that_was_answered_too_early_is_told_as_it_stands_by_now(api):
    key, source, destination = str(uuid4()), opened_with(600), opened_with(0)
    with override_settings(**APART):
        with no_settlements():
            begun = ask(source, destination, 600, keyed(key, scope="open"))
        early = api.get(f"/api/commands/{key}").json()
        assert (early["httpStatus"], early["position"], early["result"]["version"]) == (202, begun.last_position, 2)
        resume_transfer(transfer_id=begun.result["transferId"])
    events = event_store().read_stream(transfer_stream_id(begun.result["transferId"]), limit=100)
    told = api.get(f"/api/commands/{key}").json()
    assert (told["httpStatus"], told["result"]["state"], told["result"]["version"]) == (201, "COMPLETED", len(events))
    assert told["position"] == told["result"]["position"] == events[-1].position


def test_a_transfer_id_is_one_transfer(api):
    source, destination, transfer_id = open_account(api, balance=1000), open_account(api), f"trf-{uuid4()}"
    first = transfer(api, source, destination, transferId=transfer_id)
    again = transfer(api, source, destination, transferId=transfer_id)
    assert again.status_code == 201
    assert {**again.json(), "position": None} == {**first.json(), "position": None}
    other = transfer(api, source, destination, transferId=transfer_id, amount=251)
    assert problem(other, status=409, code="transfer_exists")["transferId"] == transfer_id
    assert balances(api, source, destination) == [750, 250]


def test_the_expected_version_is_the_sources(api):
    source, destination = open_account(api, balance=1000), open_account(api)
    problem(transfer(api, source, destination, expectedVersion=1), status=409, code="version_conflict")
    assert transfer(api, source, destination, expectedVersion=2).status_code == 201


def test_lists_by_account_and_state_page_by_page(api):
    source, destination, other = open_account(api, balance=500), open_account(api), open_account(api)
    made = [transfer(api, source, destination).json()["transferId"] for _ in range(2)]
    made.append(problem(transfer(api, source, other), status=422, code="insufficient_funds")["transferId"])
    deposit(api, other)
    catch_up()

    def listed(**query: Any) -> list[str]:
        found: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            page = api.get("/api/transfers", params=query | cursor | {"limit": 1}).json()
            found += [one["transferId"] for one in page["transfers"]]
            if page["nextCursor"] is None:
                return found
            cursor = {"cursor": page["nextCursor"]}

    assert listed(accountId=source) == made[::-1]
    assert listed(accountId=destination) == made[1::-1]
    assert listed(accountId=source, state="FAILED") == [made[2]]
    assert listed(accountId=other, state="COMPLETED") == []
    problem(api.get("/api/transfers?state=NEW"), status=400, code="validation_error")
    problem(api.get(f"/api/transfers/{made[0]}?minVersion=9"), status=409, code="version_conflict")


def test_what_stands_in_suspense_is_seen_by_those_who_may_see_all(guarded):
    transfer_id, other = transfer_in_suspense(), opened_with(0)
    operations, client = (bearer(issue_token(f"{role}-{uuid4()}", role=role)) for role in ("operations", "client"))
    listed = guarded.get("/api/accounts?ownerId=bank", headers=operations).json()["accounts"]
    assert "suspense:USD" in [one["accountId"] for one in listed]
    entries = guarded.get("/api/accounts/suspense:USD/history?order=desc", headers=operations).json()["entries"]
    [line] = [one for one in entries if one.get("transferId") == transfer_id]
    assert (line["eventType"], line["amount"]) == ("MoneyDeposited", 600)
    assert guarded.get("/api/accounts?ownerId=bank", headers=client).json()["accounts"] == []
    problem(guarded.get("/api/accounts/suspense:USD", headers=client), status=404, code="account_not_found")

    def failure() -> dict[str, Any]:
        return guarded.get(f"/api/transfers/{transfer_id}", headers=operations).json()["failure"]

    assert failure() == {"code": "account_frozen", "refundedTo": "suspense:USD"}
    release = ReleaseSuspense(transfer_id=transfer_id, account_id=other, reason="the owner's wish")
    release_suspense(command=release, context=OPEN)
    catch_up()
    assert failure() == {"code": "account_frozen", "refundedTo": "suspense:USD", "releasedTo": other}
