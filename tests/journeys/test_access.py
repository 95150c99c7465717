"""Every request of the API, sent by every role and by nobody: answered as docs/access.md says, and nothing leaks."""

import json
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from knox.models import get_token_model

from accounts.domain.commands import FreezeAccount
from accounts.handlers import create_account, deposit_money, freeze_account
from accounts.repository import account_stream_id
from bank.models import AccountGrant
from eventstore.records import CommandContext, CommandKey
from eventstore.store import event_store
from projections.rebuilding.jobs import request_rebuild
from projections.runner import catch_up
from tests.access_table import ANYBODY, REFUSED, ROLES, ApiRow, api_rows
from tests.factories import CreateAccountFactory, DepositMoneyFactory, InitiateTransferFactory
from tests.journeys.account_api import deposit, events_of, open_account, problem, withdraw
from tests.journeys.principals import bearer, issue_token
from transfers.handlers import initiate_transfer

MOVEMENT = {"amount": 1, "currency": "USD"}
CONTENTS = {"deposits": MOVEMENT, "withdrawals": MOVEMENT, "freeze": {}, "unfreeze": {}, "close": {}}
ABOUT_NO_SINGLE_ACCOUNT = {"GET /api/accounts", "POST /api/accounts", "GET /api/transfers", "POST /api/commands"}
MISSING = {
    "/api/commands/": "not_found",
    "/api/accounts/": "account_not_found",
    "POST /api/transfers": "account_not_found",
    "/api/transfers/": "transfer_not_found",
}
ROWS = api_rows()
PROTECTED = [row for row in ROWS if row.permission != ANYBODY]
ON_ONE_ACCOUNT = [row for row in PROTECTED if "{accountId}" in row.path]


@dataclass(frozen=True)
class Sender:
    """A principal with a token."""

    pk: str
    role: str
    token: str


@pytest.fixture(scope="module")
def senders(django_db_setup, django_db_blocker) -> dict[str, Sender]:
    """One principal of each role, and another client."""
    with django_db_blocker.unblock():
        return {name: sender(role) for name, role in [*zip(ROLES, ROLES, strict=True), ("other", "client")]}


def sender(role: str) -> Sender:
    name = f"{role}-{uuid4()}"
    token = issue_token(name, role=role)
    return Sender(str(get_user_model().objects.get(username=name).pk), role, token)


def account_for(row: ApiRow, owner: Sender) -> str:
    """Open an account of the owner's, on which the request of `row` is in order; none for one about no account."""
    account_id = f"acc-{uuid4()}"
    if "{" not in row.path.replace("{jobId}", "") and str(row) != "POST /api/transfers":
        return account_id
    account = {"account_id": account_id, "currency": "USD"}
    # Under a key, so that its outcome can be asked for.
    context = CommandContext(key=CommandKey(f"client:{owner.pk}", account_id), fingerprint="opened")
    create_account(command=CreateAccountFactory.build(**account, client_id=owner.pk), context=context)
    if row.path.endswith("withdrawals") or "transfers" in row.path:
        deposit_money(command=DepositMoneyFactory.build(**account), context=CommandContext())
    if row.path.endswith("unfreeze"):
        freeze_account(command=FreezeAccount(account_id=account_id), context=CommandContext())
    if "transferId" in row.path:
        command = InitiateTransferFactory.build(
            transfer_id=account_id, source_account_id=account_id, amount=1, client_id=owner.pk
        )
        assert initiate_transfer(command=command, context=CommandContext()).refused
    if row.method == "GET":
        catch_up()
    return account_id


def job_id() -> str:
    return str(request_rebuild(reason=None, metadata={}).pk)


def destination() -> str:
    command = CreateAccountFactory.build()
    create_account(command=command, context=CommandContext())
    return command.account_id


def send(
    bank: httpx.Client,
    row: ApiRow,
    account_id: str,
    token: str | None,
    *,
    key: str = "key",
    role: str = "client",
    **extra: object,
) -> httpx.Response:
    """Send the request of `row`, about the account or the command of this id, under a key that begins with `key`."""
    headers = {} if token is None else bearer(token)
    url = row.path.format(accountId=account_id, commandId=account_id, transferId=account_id, jobId=job_id())
    if row.method == "GET":
        return bank.get(url, headers=headers)
    headers["Idempotency-Key"] = f"{key}-{account_id}"
    return bank.request(row.method, url, json=content_for(row, account_id, role) | extra, headers=headers)


def content_for(row: ApiRow, account_id: str, role: str) -> dict[str, object]:
    """Return what the command of `row` says, about the account of this id; one that is opened is named after it.

    Each role sends its own kind of command, where it may choose.
    """
    if row.path == "/api/commands":
        command = {"type": "FreezeAccount"} if role == "operations" else {"type": "DepositMoney", **MOVEMENT}
        return {"commands": [command | {"accountId": account_id}]}
    if row.path == "/api/accounts":
        return {"accountId": f"new-{account_id}", "ownerId": "user-1", "currency": "USD"}
    if row.path == "/api/transfers":
        return {"sourceAccountId": account_id, "destinationAccountId": destination(), **MOVEMENT}
    return CONTENTS.get(row.path.rpartition("/")[2]) or {}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_each_role_may_do(guarded, senders, row, role):
    me = senders[role]
    mine, theirs = account_for(row, me), account_for(row, senders["other"])
    before = len(events_of(theirs))
    on_mine, on_theirs = (send(guarded, row, account_id, me.token, role=role) for account_id in (mine, theirs))
    if row.by_role[role] == REFUSED:
        for response in (on_mine, on_theirs):
            problem(response, status=403, code="forbidden")
        assert (len(events_of(mine)), len(events_of(theirs))) == (before, before)
        assert verdict_of(me, mine) is verdict_of(me, theirs) is None
        assert events_of(f"new-{mine}") == events_of(f"new-{theirs}") == []
        return
    # Nobody runs the projections of this bank: it says so where it is asked whether it is ready.
    assert on_mine.status_code in ((200, 503) if row.path == "/health/ready" else (200, 201, 202)), on_mine.text
    if row.by_role[role] == "all" or str(row) in ABOUT_NO_SINGLE_ACCOUNT:
        assert on_theirs.status_code == on_mine.status_code, on_theirs.text
    else:
        [code] = [code for part, code in MISSING.items() if part in str(row)]
        problem(on_theirs, status=404, code=code)
        assert len(events_of(theirs)) == before


def verdict_of(sender: Sender, account_id: str) -> object:
    return event_store().load([], command_key=CommandKey(f"client:{sender.pk}", f"key-{account_id}")).command


def without_a_good_token(senders: dict[str, Sender]) -> dict[str, str | None]:
    user = get_user_model().objects.get(pk=sender("teller").pk)
    _, expired = get_token_model().objects.create(user=user, expiry=timedelta(seconds=-1))
    revoked = issue_token(user.username)
    call_command("revoke_token", user.username, key=revoked, stdout=StringIO())
    wrong = senders["teller"].token[:-1] + ("1" if senders["teller"].token[-1] == "0" else "0")
    return {"none": None, "wrong": wrong, "expired": expired, "revoked": revoked}


def test_without_a_good_token_nothing_is_told_or_done(guarded, senders):
    tokens = without_a_good_token(senders)
    for row in PROTECTED:
        account_id = account_for(row, senders["client"])
        before = len(events_of(account_id))
        for token in tokens.values():
            response = send(guarded, row, account_id, token)
            assert problem(response, status=401, code="unauthenticated").keys() == {
                *("type", "title", "status", "detail", "code", "requestId", "retryable")
            }
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert account_id not in response.text
        assert (len(events_of(account_id)), events_of(f"new-{account_id}")) == (before, [])


def test_anybody_may_ask_for_what_is_nobodys(guarded):
    for row in ROWS:
        if row.permission == ANYBODY:
            assert send(guarded, row, "acc-1", None).status_code in (200, 503), row


def told(response: httpx.Response, account_id: str) -> tuple[object, ...]:
    """Return all that an answer tells, but for what is different in every answer."""
    headers = {name: value for name, value in response.headers.items() if name not in ("date", "x-request-id")}
    document = response.text.replace(account_id, "ID").replace(response.headers["X-Request-Id"], "REQUEST")
    return response.status_code, headers, document


@pytest.mark.parametrize("row", [row for row in ON_ONE_ACCOUNT if row.by_role["client"] == "own"], ids=str)
def test_an_account_of_others_looks_like_none_at_all(guarded, senders, row):
    """Also when sent again under its key, and with a version: none of that may tell that there is something."""
    theirs, nobodys = account_for(row, senders["other"]), f"acc-{uuid4()}"
    me = senders["client"]
    versions: list[dict[str, Any]] = [{}, {"expectedVersion": 0}, {"expectedVersion": 1}, {"expectedVersion": 7}]
    for attempt, extra in enumerate([*versions, {}]):
        # Each under a key of its own, but for the last, which repeats the first.
        key = f"key-{attempt % len(versions)}"
        forbidden, unknown = (send(guarded, row, id_, me.token, key=key, **extra) for id_ in (theirs, nobodys))
        assert told(forbidden, theirs) == told(unknown, nobodys)
        problem(forbidden, status=404, code="account_not_found")
        is_replay = row.method == "POST" and attempt == len(versions)
        assert forbidden.headers.get("Idempotent-Replayed") == ("true" if is_replay else None)
    if row.method == "GET":
        for min_version in ("1", "7"):
            urls = [f"{row.path.format(accountId=id_)}?minVersion={min_version}" for id_ in (theirs, nobodys)]
            forbidden, unknown = (guarded.get(url, headers=bearer(senders["client"].token)) for url in urls)
            assert told(forbidden, theirs) == told(unknown, nobodys)
            problem(forbidden, status=404, code="account_not_found")
        return
    for attempt in range(len(versions)):
        assert kept(guarded, me, f"key-{attempt}-", theirs) == kept(guarded, me, f"key-{attempt}-", nobodys)


def kept(bank: httpx.Client, sender: Sender, key: str, account_id: str) -> dict[str, object]:
    """Return what is told of the verdict under a key that ends with the account's id, but for the time of it."""
    response = bank.get(f"/api/commands/{key}{account_id}", headers=bearer(sender.token))
    assert response.status_code == 200, response.text
    told_at = {response.headers["X-Request-Id"]: "REQUEST", response.json()["recordedAt"]: "TIME", account_id: "ID"}
    text = response.text
    for unique, name in told_at.items():
        text = text.replace(unique, name)
    document: dict[str, object] = json.loads(text)
    return document


def test_the_id_of_anothers_account_is_taken_and_that_is_all_one_learns(guarded, senders):
    taken = open_account(guarded, headers=bearer(senders["other"].token))
    content = {"accountId": taken, "ownerId": "user-1", "currency": "USD"}
    for extra in ({}, {"expectedVersion": 0}, {"expectedVersion": 7}):
        headers = bearer(senders["client"].token) | {"Idempotency-Key": str(uuid4())}
        response = guarded.post("/api/accounts", json=content | extra, headers=headers)
        assert problem(response, status=409, code="account_exists")["accountId"] == taken
    assert len(events_of(taken)) == 1


def test_a_list_shows_what_is_within_reach(guarded, senders):
    owner_id = f"user-{uuid4()}"
    for name in ("client", "other"):
        content = {"accountId": f"{name}-{owner_id}", "ownerId": owner_id, "currency": "USD"}
        headers = bearer(senders[name].token) | {"Idempotency-Key": str(uuid4())}
        assert guarded.post("/api/accounts", json=content, headers=headers).status_code == 201
    catch_up()

    def listed(token: str) -> list[str]:
        response = guarded.get("/api/accounts", params={"ownerId": owner_id}, headers=bearer(token))
        return [account["accountId"] for account in response.json()["accounts"]]

    assert listed(senders["client"].token) == [f"client-{owner_id}"]
    assert listed(senders["auditor"].token) == [f"client-{owner_id}", f"other-{owner_id}"]
    grantee = sender("client")
    AccountGrant.objects.create(client_id=grantee.pk, account_id=f"other-{owner_id}")
    assert listed(grantee.token) == [f"other-{owner_id}"]


def test_a_granted_account_is_as_good_as_ones_own(guarded, senders):
    granted = open_account(guarded, balance=1000, headers=bearer(senders["other"].token))
    ungranted = open_account(guarded, balance=1000, headers=bearer(senders["other"].token))
    grantee = sender("client")
    AccountGrant.objects.create(client_id=grantee.pk, account_id=granted)
    headers = bearer(grantee.token)
    assert withdraw(guarded, granted, headers=headers).status_code == 201
    catch_up()
    for path in ("", "/balance", "/history"):
        assert guarded.get(f"/api/accounts/{granted}{path}", headers=headers).status_code == 200
        response = guarded.get(f"/api/accounts/{ungranted}{path}", headers=headers)
        problem(response, status=404, code="account_not_found")
    problem(withdraw(guarded, ungranted, headers=headers), status=404, code="account_not_found")
    assert [event.event_type for event in events_of(granted)][-1] == "MoneyWithdrawn"
    assert len(events_of(ungranted)) == 2


def test_a_first_attempt_that_comes_late_is_refused_too_though_the_account_is_within_reach_by_then(guarded, senders):
    """Its retry was told that there is no such account, which was granted, or opened by the client, only afterwards."""
    me = sender("client")
    theirs = open_account(guarded, balance=1000, headers=bearer(senders["other"].token))
    mine = f"acc-{uuid4()}"
    keys = {account_id: {"Idempotency-Key": f"key-{account_id}"} for account_id in (theirs, mine)}
    for account_id, key in keys.items():
        retry = withdraw(guarded, account_id, headers=bearer(me.token) | key)
        problem(retry, status=404, code="account_not_found")
    AccountGrant.objects.create(client_id=me.pk, account_id=theirs)
    granted = bearer(issue_token(get_user_model().objects.get(pk=me.pk).username))
    opening = {"accountId": mine, "ownerId": "user-1", "currency": "USD", "commandId": f"open-{mine}"}
    assert guarded.post("/api/accounts", json=opening, headers=granted).status_code == 201
    assert deposit(guarded, mine, headers=granted).status_code == 201
    for account_id, key in keys.items():
        late = withdraw(guarded, account_id, headers=granted | key)
        problem(late, status=404, code="account_not_found")
        assert late.headers["Idempotent-Replayed"] == "true"
        assert [event.event_type for event in events_of(account_id)] == ["AccountCreated", "MoneyDeposited"]
        assert withdraw(guarded, account_id, headers=granted).status_code == 201  # a new key is a new command


def test_the_audit_names_the_principal_whatever_the_request_says(guarded, senders):
    account_id = open_account(guarded, headers=bearer(senders["client"].token))
    response = deposit(guarded, account_id, headers=bearer(senders["teller"].token), actor="somebody else")
    assert response.status_code == 201
    event = events_of(account_id)[-1]
    assert event.stream_id == account_stream_id(account_id)
    assert event.metadata["actor"] == get_user_model().objects.get(pk=senders["teller"].pk).username
    assert event.metadata["onBehalfOf"] == "somebody else"
