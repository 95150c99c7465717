"""What every POST of the API promises: done once under its key, wherever the key stands, and at its version alone."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from tests.access_table import api_rows
from tests.journeys.account_api import events_of, problem
from tests.journeys.principals import bearer, issue_token
from tests.journeys.test_access import Sender, account_for, content_for

# What staff do to read models is no command.
COMMANDS = [
    row for row in api_rows() if row.method == "POST" and not row.path.startswith(("/api/admin/", "/api/commands"))
]


def almighty() -> Sender:
    """Return a client that may send every command, on the accounts of all."""
    name = f"client-{uuid4()}"
    token = issue_token(name)
    user = get_user_model().objects.get(username=name)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="bank"))
    return Sender(str(user.pk), name, token)


class Client:
    """Sends one command, in its own words or in others."""

    def __init__(self, bank: httpx.Client, row: Any) -> None:
        self.bank = bank
        self.sender = almighty()
        self.account_id = account_for(row, self.sender)
        self.url = row.path.format(accountId=self.account_id)
        self.content = content_for(row, self.account_id, role="client")
        self.token = self.sender.token

    def send(
        self, *, key: str | None = None, token: str | None = None, headers: dict[str, str] | None = None, **extra: Any
    ) -> httpx.Response:
        """Send it with `key` in the header."""
        sent = bearer(token or self.token) | ({"Idempotency-Key": key} if key else {}) | (headers or {})
        return self.bank.post(self.url, json=self.content | extra, headers=sent)

    def ask(self, key: str, token: str | None = None) -> httpx.Response:
        """Ask what became of the key."""
        return self.bank.get(f"/api/commands/{key}", headers=bearer(token or self.token))

    def written(self) -> int:
        """Return how many events there are in all that the command is about."""
        ids = {self.account_id, f"new-{self.account_id}", str(self.content.get("destinationAccountId", "none"))}
        return sum(len(events_of(id_)) for id_ in ids)


@pytest.fixture(params=COMMANDS, ids=str)
def client(guarded, request) -> Iterator[Client]:
    yield Client(guarded, request.param)


def told(response: httpx.Response) -> tuple[int, bytes, str]:
    return response.status_code, response.content, response.headers["ETag"]


def test_it_is_done_once_under_its_key_wherever_that_stands(client):
    before, key = client.written(), str(uuid4())
    problem(client.send(), status=400, code="idempotency_key_required")
    contradiction = problem(client.send(key=key, commandId=f"other-{key}"), status=400, code="validation_error")
    assert [error["header"] for error in contradiction["errors"]] == ["Idempotency-Key"]
    problem(client.ask(key), status=404, code="not_found")
    assert client.written() == before

    first = client.send(key=key)
    assert first.status_code == 201, first.text
    assert first.headers["ETag"] == f'"{first.json()["version"]}"'
    assert "Idempotent-Replayed" not in first.headers
    after = client.written()
    assert after > before
    rotated = issue_token(client.sender.role)
    for again in (
        client.send(key=key),
        client.send(key=f'"{key}"'),
        client.send(commandId=key),
        client.send(key=key, commandId=key),
        client.send(key=key, token=rotated),
    ):
        assert told(again) == told(first)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert client.written() == after
    verdict = client.ask(key, rotated).json()
    assert (verdict["status"], verdict["httpStatus"], verdict["result"]) == ("accepted", 201, first.json())


def test_its_key_is_taken_for_whatever_else_and_free_for_whoever_else(client):
    key = str(uuid4())
    assert client.send(key=key).status_code == 201
    after = client.written()
    elsewhere = {"amount": 1, "currency": "USD"}
    for other in (
        client.send(key=key, description="another"),
        client.send(key=key, actor="another"),
        client.send(key=key, headers={"If-Match": '"7"'}),
        client.send(key=key, expectedVersion=7),
        client.bank.post(
            f"/api/accounts/acc-{uuid4()}/deposits",
            json=elsewhere,
            headers=bearer(client.token) | {"Idempotency-Key": key},
        ),
    ):
        problem(other, status=422, code="idempotency_key_reused")
    assert client.written() == after

    stranger = almighty().token
    problem(client.ask(key, stranger), status=404, code="not_found")
    theirs = client.send(key=key, token=stranger)
    assert theirs.status_code in (201, 404, 409, 422)
    assert "Idempotent-Replayed" not in theirs.headers
    assert client.ask(key, stranger).json()["httpStatus"] == theirs.status_code
    assert client.send(key=key).headers["Idempotent-Replayed"] == "true"


def test_it_is_done_at_its_version_alone(client):
    before = client.written()
    key = str(uuid4())
    version = 0 if client.url == "/api/accounts" else len(events_of(client.account_id))
    for seven in ({"headers": {"If-Match": '"7"'}}, {"expectedVersion": 7}):
        conflict = problem(client.send(key=key, **seven), status=409, code="version_conflict")
        assert (conflict["expectedVersion"], conflict["actualVersion"]) == (7, version)
    assert client.written() == before
    problem(client.ask(key), status=404, code="not_found")
    # What met another version has no verdict: the same key does for the next try.
    assert client.send(key=key, headers={"If-Match": f'"{version}"'}).status_code == 201
