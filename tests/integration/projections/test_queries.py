"""The GETs on accounts: what they answer, by which query, and what they refuse."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from accounts.domain.events import AccountFrozen
from projections.runner import catch_up
from tests.factories import NOON, NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    account_append,
    append,
    created,
    deposited,
    events_of,
    new_account_id,
    record,
    withdrawn,
)
from tests.round_trips import round_trips


@pytest.fixture
def account_id() -> str:
    """Return an account with six events, each a minute after the one before."""
    account_id = new_account_id()
    events = account_append(
        created(account_id, owner_id="user-1"),
        deposited(account_id, 1000, transaction_id="txn-1"),
        withdrawn(account_id, 200, transaction_id="txn-2", transfer_id="transfer-1", counterparty="acc-other"),
        deposited(account_id, 5, description="interest", metadata={"period": "March"}),
        AccountFrozen(account_id=account_id, reason="compliance review"),
    ).events
    dated = [
        NewEventFactory.build(
            event_type=event.event_type,
            schema_version=event.schema_version,
            data=event.data,
            occurred_at=NOON + timedelta(minutes=minute, microseconds=718_999),
        )
        for minute, event in enumerate(events)
    ]
    append(StreamAppendFactory.build(stream_id=f"account-{account_id}", events=tuple(dated)))
    catch_up()
    return account_id


def versions(client, account_id: str, **query) -> list[int]:
    response = client.get(f"/api/accounts/{account_id}/history", query)
    assert response.status_code == 200, response.content
    return [entry["streamVersion"] for entry in response.json()["entries"]]


def test_an_account(client, account_id):
    response = client.get(f"/api/accounts/{account_id}")
    assert response.status_code == 200
    assert response.json() == {
        "accountId": account_id,
        "ownerId": "user-1",
        "currency": "USD",
        "currencyExponent": 2,
        "status": "FROZEN",
        "balance": 805,
        "version": 5,
        "createdAt": "2026-03-22T12:00:00.718Z",
        "updatedAt": "2026-03-22T12:04:00.718Z",
        "verified": None,
    }


def test_a_balance(client, account_id):
    response = client.get(f"/api/accounts/{account_id}/balance")
    assert response.status_code == 200
    assert response.json() == {
        "accountId": account_id,
        "balance": 805,
        "currency": "USD",
        "currencyExponent": 2,
        "status": "FROZEN",
        "version": 5,
    }


def test_a_history_tells_of_each_event_what_applies_to_it(client, account_id):
    response = client.get(f"/api/accounts/{account_id}/history")
    assert response.status_code == 200
    told = response.json()
    assert told.keys() == {"accountId", "entries"}
    assert told["accountId"] == account_id
    event_ids = [str(event.event_id) for event in events_of(f"account-{account_id}")]
    assert told["entries"] == [
        {
            "eventId": event_ids[0],
            "accountId": account_id,
            "streamVersion": 1,
            "eventType": "AccountCreated",
            "balance": 0,
            "occurredAt": "2026-03-22T12:00:00.718Z",
        },
        {
            "eventId": event_ids[1],
            "accountId": account_id,
            "streamVersion": 2,
            "eventType": "MoneyDeposited",
            "amount": 1000,
            "currency": "USD",
            "transactionId": "txn-1",
            "balance": 1000,
            "occurredAt": "2026-03-22T12:01:00.718Z",
        },
        {
            "eventId": event_ids[2],
            "accountId": account_id,
            "streamVersion": 3,
            "eventType": "MoneyWithdrawn",
            "amount": 200,
            "currency": "USD",
            "transactionId": "txn-2",
            "transferId": "transfer-1",
            "counterparty": "acc-other",
            "balance": 800,
            "occurredAt": "2026-03-22T12:02:00.718Z",
        },
        {
            "eventId": event_ids[3],
            "accountId": account_id,
            "streamVersion": 4,
            "eventType": "MoneyDeposited",
            "amount": 5,
            "currency": "USD",
            "description": "interest",
            "metadata": {"period": "March"},
            "balance": 805,
            "occurredAt": "2026-03-22T12:03:00.718Z",
        },
        {
            "eventId": event_ids[4],
            "accountId": account_id,
            "streamVersion": 5,
            "eventType": "AccountFrozen",
            "reason": "compliance review",
            "balance": 805,
            "occurredAt": "2026-03-22T12:04:00.718Z",
        },
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, [1, 2]),
        ({"limit": 2, "offset": 1}, [2, 3]),
        ({"offset": 5}, []),
        ({"after": 3}, [4, 5]),
        ({"after": 0, "limit": 1}, [1]),
        ({"order": "desc", "limit": 2}, [5, 4]),
        ({"order": "desc", "after": 4, "limit": 2}, [3, 2]),
        ({"order": "desc", "offset": 3}, [2, 1]),
        ({"type": "MoneyDeposited"}, [2, 4]),
        ({"type": "AccountClosed"}, []),
        ({"from": "2026-03-22T12:03:00.718999Z"}, [4, 5]),
        ({"to": "2026-03-22T12:01:00.718999Z"}, [1]),
        ({"from": "2026-03-22T13:01:00+01:00", "to": "2026-03-22T12:03:00Z"}, [2, 3]),
        ({"from": "2026-03-22T12:01Z", "type": "MoneyDeposited", "order": "desc", "limit": 1}, [4]),
    ],
)
def test_a_part_of_a_history(client, account_id, query, expected):
    assert versions(client, account_id, **query) == expected


def test_histories_show_100_lines_unless_asked_for_up_to_500(client):
    account_id = new_account_id()
    record(created(account_id), *[deposited(account_id, 1) for _ in range(509)])
    catch_up()
    assert versions(client, account_id) == list(range(1, 101))
    assert versions(client, account_id, limit=500) == list(range(1, 501))
    assert versions(client, account_id, limit=500, after=500) == list(range(501, 511))


def test_each_read_takes_one_query(client, account_id):
    for path in ("", "/balance", "/history"):
        assert round_trips(partial(client.get, f"/api/accounts/{account_id}{path}")) == 1
    assert round_trips(lambda: client.get("/api/accounts", {"ownerId": "user-1"})) == 1


@pytest.mark.parametrize("path", ["", "/balance", "/history"])
def test_an_unknown_account(client, path):
    unknown = new_account_id()
    response = client.get(f"/api/accounts/{unknown}{path}")
    assert response.status_code == 404
    problem = response.json()
    assert (problem["code"], problem["accountId"]) == ("account_not_found", unknown)


@pytest.mark.parametrize("path", ["", "/balance", "/history"])
def test_an_id_that_is_none(client, path):
    response = client.get(f"/api/accounts/a%20b{path}")
    assert (response.status_code, response.json()["code"]) == (400, "validation_error")


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/history", "limit=0", "limit"),
        ("/history", "limit=501", "limit"),
        ("/history", "limit=99999999999999999999", "limit"),
        ("/history", "limit=ten", "limit"),
        ("/history", "limit=", "limit"),
        ("/history", "limit=5&limit=6", "limit"),
        ("/history", "offset=-1", "offset"),
        ("/history", "offset=10001", "offset"),
        ("/history", "after=-1", "after"),
        ("/history", "after=1.5", "after"),
        ("/history", "order=down", "order"),
        ("/history", "type=MoneyVanished", "type"),
        ("/history", "from=yesterday", "from"),
        ("/history", "from=2026-03-22", "from"),
        ("/history", "from=2026-03-22T12:00:00", "from"),
        ("/history", "from=2026-02-30T12:00:00Z", "from"),
        ("/history", "to=0001-01-01T00:00:00%2B23:00", "to"),
        ("/history", "to=2026-03-22T12:00:00+01:00", "to"),
        ("/history", "colour=red", "colour"),
        ("", "limit=5", "limit"),
        ("/balance", "a=", "a"),
    ],
)
def test_a_query_of_an_account_that_is_refused(client, account_id, path, query, parameter):
    response = client.get(f"/api/accounts/{account_id}{path}?{query}")
    assert response.status_code == 400
    problem = response.json()
    assert problem["code"] == "validation_error"
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=NEW", "status"),
        ("status=active", "status"),
        ("currency=XYZ", "currency"),
        ("ownerId=a%20b", "ownerId"),
        ("cursor=%00", "cursor"),
        ("limit=501", "limit"),
        ("offset=1", "offset"),
    ],
)
def test_a_list_query_that_is_refused(client, query, parameter):
    response = client.get(f"/api/accounts?{query}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


@pytest.fixture
def owner() -> tuple[str, list[str]]:
    """Return an owner, and the ids of his five accounts: two in EUR, one of those frozen."""
    owner_id, prefix = f"owner-{uuid4()}", uuid4()
    account_ids = [f"{letter}-{prefix}" for letter in "BCDac"]
    for number, account_id in enumerate(account_ids):
        freeze = [AccountFrozen(account_id=account_id)] if number == 3 else []
        record(created(account_id, owner_id=owner_id, currency="EUR" if number > 2 else "USD"), *freeze)
    catch_up()
    return owner_id, account_ids


def listed(client, **query) -> tuple[list[str], str | None]:
    response = client.get("/api/accounts", query)
    assert response.status_code == 200, response.content
    page = response.json()
    return [account["accountId"] for account in page["accounts"]], page["nextCursor"]


def test_accounts_by_owner_status_and_currency(client, owner):
    owner_id, account_ids = owner
    assert listed(client, ownerId=owner_id) == (account_ids, None)
    assert listed(client, ownerId=owner_id, currency="EUR") == (account_ids[3:], None)
    assert listed(client, ownerId=owner_id, status="FROZEN") == (account_ids[3:4], None)
    assert listed(client, ownerId=owner_id, status="ACTIVE", currency="EUR") == (account_ids[4:], None)
    assert listed(client, ownerId=f"owner-{uuid4()}") == ([], None)


def test_pages_of_accounts_follow_each_other_in_the_order_of_bytes(client, owner):
    owner_id, account_ids = owner
    first, cursor = listed(client, ownerId=owner_id, limit=2)
    second, next_cursor = listed(client, ownerId=owner_id, limit=2, cursor=cursor)
    third, end = listed(client, ownerId=owner_id, limit=2, cursor=next_cursor)
    assert first + second + third == account_ids == sorted(account_ids)
    assert (cursor, next_cursor, end) == (account_ids[1], account_ids[3], None)
    assert listed(client, ownerId=owner_id, limit=5) == (account_ids, None)


def test_a_listed_account_is_told_as_it_is_alone(client, owner):
    owner_id, account_ids = owner
    [account] = client.get("/api/accounts", {"ownerId": owner_id, "limit": 1}).json()["accounts"]
    assert account == client.get(f"/api/accounts/{account_ids[0]}").json()
