"""The requests of the system that this one replaces, as its users type them, and the answers they know."""

import re
from uuid import UUID

from projections.runner import catch_up
from tests.journeys.account_api import deposit, events_of, open_account, problem

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


def test_the_tour(api):
    account_id = open_account(api)
    account = f"/api/accounts/{account_id}"

    deposited = api.post(f"{account}/deposits", json={"amount": 1000, "currency": "USD", "transactionId": "txn-1"})
    withdrawn = api.post(f"{account}/withdrawals", json={"amount": 200, "currency": "USD", "transactionId": "txn-2"})
    assert (deposited.status_code, withdrawn.status_code) == (201, 201)
    answer = withdrawn.json()
    assert UUID(answer.pop("eventId")) == events_of(account_id)[-1].event_id
    assert answer.pop("position") == events_of(account_id)[-1].position
    assert answer == {
        "status": "accepted",
        "accountId": account_id,
        "version": 3,
        "balance": 800,
        "currency": "USD",
        "currencyExponent": 2,
    }

    catch_up()
    summary = api.get(account).json()
    assert (
        summary.items()
        >= {
            "accountId": account_id,
            "ownerId": "user-1",
            "currency": "USD",
            "status": "ACTIVE",
            "balance": 800,
            "version": 3,
        }.items()
    )
    assert INSTANT.fullmatch(summary["createdAt"])
    assert INSTANT.fullmatch(summary["updatedAt"])
    balance = api.get(f"{account}/balance").json()
    assert (balance["balance"], balance["status"], balance["version"]) == (800, "ACTIVE", 3)

    history = api.get(f"{account}/history?limit=50&offset=0").json()
    assert history["accountId"] == account_id
    created, first, second = history["entries"]
    assert created["eventType"] == "AccountCreated"
    assert "amount" not in created
    assert [entry["streamVersion"] for entry in history["entries"]] == [1, 2, 3]
    assert (first["eventType"], first["amount"], first["currency"], first["transactionId"]) == (
        "MoneyDeposited",
        1000,
        "USD",
        "txn-1",
    )
    assert (second["eventType"], second["amount"], second["transactionId"]) == ("MoneyWithdrawn", 200, "txn-2")
    assert {entry["accountId"] for entry in history["entries"]} == {account_id}
    assert all(UUID(entry["eventId"]) and INSTANT.fullmatch(entry["occurredAt"]) for entry in history["entries"])

    frozen = api.post(f"{account}/freeze", json={"reason": "compliance review"})
    assert (frozen.status_code, frozen.json()["version"]) == (201, 4)
    problem(deposit(api, account_id), status=422, code="account_frozen")
    catch_up()
    assert api.get(account).json()["status"] == "FROZEN"
    assert api.get(f"{account}/history").json()["entries"][-1]["reason"] == "compliance review"


def test_health_at_both_addresses(api):
    for address in ("/health", "/api/health"):
        response = api.get(address)
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "store": "postgres", "database": "ok"}
