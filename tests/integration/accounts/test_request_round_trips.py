"""What a request costs: round trips to the database, counted at its server."""

from functools import partial
from uuid import uuid4

import pytest

from eventstore.store import event_store
from projections.runner import catch_up
from tests.round_trips import round_trips


def post(client, path: str, **content):
    return client.post(f"/api/accounts{path}", content, content_type="application/json")


@pytest.fixture
def account_id(client) -> str:
    """Return an account with money in it, after a request of each kind."""
    account_id = f"acc-{uuid4()}"
    assert post(client, "", accountId=account_id, ownerId="user-1", currency="USD").status_code == 201
    assert deposit(client, account_id, commandId=str(uuid4())).status_code == 201
    return account_id


def deposit(client, account_id: str, **fields):
    return post(client, f"/{account_id}/deposits", amount=1000, currency="USD", **fields)


@pytest.fixture
def forgotten(account_id) -> str:
    """Return an account that this process has forgotten, as one that it has never heard of."""
    event_store().group.begin_anew()
    return account_id


def test_a_command_takes_one_with_a_key_and_without(client, account_id):
    assert round_trips(partial(deposit, client, account_id)) == 1
    assert round_trips(partial(deposit, client, account_id, commandId=str(uuid4()), expectedVersion=3)) == 1


def test_a_refusal_takes_one(client, account_id):
    refused = {"amount": 1, "currency": "EUR", "commandId": str(uuid4())}
    assert round_trips(partial(post, client, f"/{account_id}/withdrawals", **refused)) == 1


def test_an_account_that_is_not_at_hand_takes_one_more(client, forgotten):
    assert round_trips(partial(deposit, client, forgotten)) == 2
    assert round_trips(partial(deposit, client, forgotten)) == 1


def test_a_new_account_takes_one(client, account_id):
    assert round_trips(partial(post, client, "", accountId=f"acc-{uuid4()}", ownerId="user-1", currency="USD")) == 1


def test_an_expected_version_that_seems_wrong_is_looked_up(client, account_id):
    assert round_trips(partial(deposit, client, account_id, expectedVersion=1)) == 1
    assert deposit(client, account_id, expectedVersion=1).status_code == 409


def test_a_replay_takes_one_and_so_does_the_question_whether_it_went_through(client, account_id):
    key = str(uuid4())
    deposit(client, account_id, commandId=key)
    assert round_trips(partial(deposit, client, account_id, commandId=key)) == 1
    assert round_trips(partial(client.get, f"/api/commands/{key}")) == 1


def test_a_request_that_is_not_valid_takes_none(client, account_id):
    assert round_trips(partial(deposit, client, account_id, surprise=1)) == 0


def test_a_read_takes_one_and_another_one_if_it_is_ahead_of_the_read_model(client, account_id):
    catch_up()
    deposit(client, account_id)
    balance = f"/api/accounts/{account_id}/balance"
    assert round_trips(partial(client.get, balance)) == 1
    assert round_trips(partial(client.get, balance, {"minVersion": 2})) == 1
    assert round_trips(partial(client.get, balance, {"minVersion": 3})) == 2
