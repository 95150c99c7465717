"""The few requests that journeys of accounts begin with, and what they look at in the log."""

from typing import Any, TypeAlias
from uuid import uuid4

import httpx

from accounts.repository import account_stream_id
from eventstore.records import RecordedEvent
from eventstore.store import event_store

Headers: TypeAlias = dict[str, str] | None


def open_account(api: httpx.Client, *, currency: str = "USD", balance: int = 0, headers: Headers = None) -> str:
    """Open an account that nobody else knows, perhaps with money in it, and return its id."""
    account_id = f"acc-{uuid4()}"
    content = {"accountId": account_id, "ownerId": "user-1", "currency": currency}
    assert _post(api, "/api/accounts", content, headers).status_code == 201
    if balance:
        assert deposit(api, account_id, amount=balance, currency=currency, headers=headers).status_code == 201
    return account_id


def deposit(api: httpx.Client, account_id: str, *, headers: Headers = None, **fields: Any) -> httpx.Response:
    """Deposit USD 10.00, unless `fields` say otherwise."""
    content = {"amount": 1000, "currency": "USD", **fields}
    return _post(api, f"/api/accounts/{account_id}/deposits", content, headers)


def withdraw(api: httpx.Client, account_id: str, *, headers: Headers = None, **fields: Any) -> httpx.Response:
    """Withdraw USD 2.00, unless `fields` say otherwise."""
    content = {"amount": 200, "currency": "USD", **fields}
    return _post(api, f"/api/accounts/{account_id}/withdrawals", content, headers)


def _post(api: httpx.Client, url: str, content: dict[str, Any], headers: Headers) -> httpx.Response:
    """Send a command; with a token it needs a key, so it gets a fresh one if it has none."""
    if headers and "Authorization" in headers and "commandId" not in content:
        headers = {"Idempotency-Key": str(uuid4())} | headers
    return api.post(url, json=content, headers=headers)


def events_of(account_id: str) -> list[RecordedEvent]:
    """Return the account's stream, up to 100 events."""
    return event_store().read_stream(account_stream_id(account_id), limit=100)


def problem(response: httpx.Response, *, status: int, code: str) -> dict[str, Any]:
    """Return the problem that `response` is, after a look at all that every problem has."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"/problems/{code}"
    assert document["title"]
    assert document["detail"]
    assert document["requestId"] == response.headers["X-Request-Id"]
    assert document["retryable"] is (status in (429, 503))
    return document
