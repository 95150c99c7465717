"""With authentication on, every request but those for health bears a token, and keys belong to clients."""

from collections.abc import Iterator
from io import StringIO
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from knox.models import get_token_model

from tests.journeys.account_api import deposit, events_of, open_account, problem
from tests.journeys.web_server import web_server


def issue_token(username: str) -> str:
    """Return what an operator gets for a client."""
    out = StringIO()
    call_command("issue_token", username, stdout=out)
    [token] = out.getvalue().split()
    return token


@pytest.fixture(scope="module")
def guarded(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client, without a token, of a web server that asks for one."""
    with web_server(var_dir=tmp_path_factory.mktemp("guarded"), API_AUTH="token") as client:
        yield client


@pytest.fixture
def username() -> str:
    return f"client-{uuid4()}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_nothing_is_told_or_done(guarded):
    account_id = f"acc-{uuid4()}"
    content = {"accountId": account_id, "ownerId": "user-1", "currency": "USD"}
    for response in (
        guarded.post("/api/accounts", json=content),
        guarded.get("/api/accounts"),
        guarded.get(f"/api/accounts/{account_id}"),
        deposit(guarded, account_id),
    ):
        problem(response, status=401, code="unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert events_of(account_id) == []


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer nonsense",
        "Bearer a b",
        "Token nonsense",
        "Basic YTpi",
        b"Bearer \xff\xfe",
        "Bearer " + "a" * 5000,
    ],
)
def test_what_is_no_token(guarded, header):
    problem(guarded.get("/api/accounts", headers={"Authorization": header}), status=401, code="unauthenticated")


def test_health_needs_no_token(guarded):
    assert guarded.get("/health").status_code == 200
    assert guarded.get("/api/health").status_code == 200


def test_a_client_and_what_it_leaves_in_the_log(guarded, username):
    token = issue_token(username)
    account_id = open_account(guarded, headers=bearer(token))
    client = get_user_model().objects.get(username=username)
    assert not client.has_usable_password()
    [event] = events_of(account_id)
    assert event.data["clientId"] == str(client.pk)
    assert event.metadata["actor"] == username


def test_keys_belong_to_the_client_and_not_to_its_token(guarded, username):
    token, rotated, other = issue_token(username), issue_token(username), issue_token(f"other-{username}")
    account_id = open_account(guarded, headers=bearer(token))
    key = {"Idempotency-Key": str(uuid4())}
    assert deposit(guarded, account_id, headers=key | bearer(token)).status_code == 201
    replayed = deposit(guarded, account_id, headers=key | bearer(rotated))
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in deposit(guarded, account_id, headers=key | bearer(other)).headers
    assert len(events_of(account_id)) == 3


def test_a_verdict_is_told_to_the_client_that_asked_for_it_alone(guarded, username):
    token, rotated, other = issue_token(username), issue_token(username), issue_token(f"other-{username}")
    account_id, key = open_account(guarded, headers=bearer(token)), str(uuid4())
    first = deposit(guarded, account_id, headers=bearer(token), commandId=key)
    assert first.status_code == 201
    url = f"/api/commands/{key}"
    assert guarded.get(url, headers=bearer(rotated)).json()["result"] == first.json()
    problem(guarded.get(url, headers=bearer(other)), status=404, code="not_found")
    problem(guarded.get(url), status=401, code="unauthenticated")


def test_with_a_token_every_command_needs_a_key(guarded, username):
    token = issue_token(username)
    account_id = open_account(guarded, headers=bearer(token))
    movement, new_account = {"amount": 1, "currency": "USD"}, {"accountId": f"acc-{uuid4()}", "ownerId": "u"}
    commands = [
        ("", {**new_account, "currency": "USD"}),
        (f"/{account_id}/deposits", movement),
        (f"/{account_id}/withdrawals", movement),
        *((f"/{account_id}/{step}", {}) for step in ("freeze", "unfreeze", "close")),
    ]
    for path, content in commands:
        response = guarded.post(f"/api/accounts{path}", json=content, headers=bearer(token))
        problem(response, status=400, code="idempotency_key_required")
    assert len(events_of(account_id)) == 1
    assert events_of(new_account["accountId"]) == []


def test_a_revoked_token_is_none(guarded, username):
    token = issue_token(username)
    assert guarded.get("/api/accounts", headers=bearer(token)).status_code == 200
    get_token_model().objects.filter(user__username=username).delete()
    problem(guarded.get("/api/accounts", headers=bearer(token)), status=401, code="unauthenticated")


def test_tokens_are_kept_as_hashes(username):
    token = issue_token(username)
    [kept] = get_token_model().objects.filter(user__username=username)
    assert token not in (kept.digest, kept.token_key)
    assert kept.expiry is None
