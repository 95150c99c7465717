"""With authentication on, every request but those for health bears a token, and keys belong to clients."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone
from knox.models import get_token_model

from tests.journeys.account_api import deposit, events_of, open_account, problem
from tests.journeys.principals import bearer, issue_token
from tests.polling import wait_until


@pytest.fixture
def username() -> str:
    return f"client-{uuid4()}"


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
    token, rotated = issue_token(username), issue_token(username)
    other = issue_token(f"other-{username}", role="teller")
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
    token, operator = issue_token(username), issue_token(f"operator-{username}", role="operations")
    account_id = open_account(guarded, headers=bearer(token))
    movement, new_account = {"amount": 1, "currency": "USD"}, {"accountId": f"acc-{uuid4()}", "ownerId": "u"}
    commands = [
        ("", {**new_account, "currency": "USD"}),
        (f"/{account_id}/deposits", movement),
        (f"/{account_id}/withdrawals", movement),
        *((f"/{account_id}/{step}", {}) for step in ("close", "freeze", "unfreeze")),
    ]
    for path, content in commands:
        sender = operator if path.endswith("freeze") else token
        response = guarded.post(f"/api/accounts{path}", json=content, headers=bearer(sender))
        problem(response, status=400, code="idempotency_key_required")
    assert len(events_of(account_id)) == 1
    assert events_of(new_account["accountId"]) == []


def is_refused(guarded, token: str) -> bool:
    return guarded.get("/api/accounts", headers=bearer(token)).status_code == 401


def test_a_revoked_token_is_none_within_ten_seconds(guarded, username):
    token, other = issue_token(username), issue_token(username)
    assert not is_refused(guarded, token)
    call_command("revoke_token", username, key=token[:15], stdout=StringIO())
    wait_until(lambda: is_refused(guarded, token), deadline_seconds=10)
    problem(guarded.get("/api/accounts", headers=bearer(token)), status=401, code="unauthenticated")
    assert not is_refused(guarded, other)
    call_command("revoke_token", username, stdout=StringIO())
    assert not get_token_model().objects.filter(user__username=username).exists()


def test_an_expired_token_is_none(guarded, username):
    token = issue_token(username)
    get_token_model().objects.filter(user__username=username).update(expiry=timezone.now())
    problem(guarded.get("/api/accounts", headers=bearer(token)), status=401, code="unauthenticated")


def test_a_principal_that_was_put_out_of_service_is_none(guarded, username):
    token = issue_token(username)
    get_user_model().objects.filter(username=username).update(is_active=False)
    problem(guarded.get("/api/accounts", headers=bearer(token)), status=401, code="unauthenticated")


def test_tokens_are_kept_as_hashes_and_expire(username):
    token = issue_token(username)
    [kept] = get_token_model().objects.filter(user__username=username)
    assert token not in (kept.digest, kept.token_key)
    assert kept.expiry - kept.created == pytest.approx(
        timedelta(hours=settings.TOKEN_TTL_HOURS), abs=timedelta(minutes=1)
    )


class TestCommands:
    """What operators can get wrong."""

    def test_a_role_that_is_none(self, username):
        with pytest.raises(CommandError, match="auditor, client, operations, teller"):
            issue_token(username, role="king")
        assert not get_user_model().objects.filter(username=username).exists()

    def test_a_role_is_the_only_one_from_then_on(self, username):
        issue_token(username)
        issue_token(username, role="teller")
        issue_token(username)
        groups = get_user_model().objects.get(username=username).groups
        assert [group.name for group in groups.all()] == ["teller"]

    def test_a_token_that_is_not_there(self, username):
        token = issue_token(username)
        for name, key in ((f"other-{username}", None), (username, "0" * 15), (f"other-{username}", token[:15])):
            with pytest.raises(CommandError, match="has no such token"):
                call_command("revoke_token", name, key=key, stdout=StringIO())
        assert get_token_model().objects.filter(user__username=username).count() == 1
