"""What whole requests cost with a token that is warm: round trips to the database, counted on its wire."""

from collections.abc import Callable, Iterator
from functools import partial
from uuid import uuid4

import httpx
import pytest
from django.db import connection

from projections.runner import catch_up
from tests.journeys.account_api import deposit, open_account, withdraw
from tests.journeys.counting_proxy import CountingProxy, counting_proxy
from tests.journeys.principals import bearer, issue_token
from tests.journeys.web_server import database_url, web_server

IN_PLAIN_WORDS = "?sslmode=disable&gssencmode=disable"


@pytest.fixture(scope="module")
def proxy(django_db_setup) -> Iterator[CountingProxy]:
    database = connection.settings_dict
    with counting_proxy(host=database["HOST"], port=int(database["PORT"])) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def bank(proxy, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a bank of one thread, so that there is one connection to the database, and it is warm."""
    address, _, name = database_url().rpartition("/")
    url = f"{address.rpartition('@')[0]}@127.0.0.1:{proxy.port}/{name}{IN_PLAIN_WORDS}"
    directory = tmp_path_factory.mktemp("round-trips")
    with web_server(var_dir=directory, web_threads="1", API_AUTH="token", DATABASE_URL=url) as client:
        yield client


@pytest.fixture
def headers(bank) -> dict[str, str]:
    return bearer(issue_token(f"client-{uuid4()}"))


@pytest.fixture
def account_id(bank, headers) -> str:
    """An account whose events so far are in the read models."""
    account_id = open_account(bank, balance=1000, headers=headers)
    catch_up()
    return account_id


@pytest.fixture
def round_trips(bank, proxy, headers) -> Callable[[Callable[[], httpx.Response], int], int]:
    """How many round trips a request takes that is answered with a status."""

    def counted(request: Callable[[], httpx.Response], status: int) -> int:
        # A request that leads to no query by itself: whatever it takes is for the token, which is warm from then on.
        assert bank.get("/api/accounts", params={"limit": 0}, headers=headers).status_code == 400
        before = proxy.round_trips
        response = request()
        assert response.status_code == status, response.text
        return proxy.round_trips - before

    return counted


def test_a_token_costs_something_once_and_nothing_while_it_is_warm(bank, proxy, round_trips, headers):
    invalid = partial(bank.get, "/api/accounts", params={"limit": 0})
    assert round_trips(partial(invalid, headers=bearer(issue_token(f"client-{uuid4()}"))), 400) > 0
    assert round_trips(partial(invalid, headers=headers), 400) == 0
    assert round_trips(partial(bank.get, "/metrics", headers=headers), 403) == 0
    assert round_trips(partial(bank.get, "/api/accounts"), 401) == 0


def test_a_deposit_takes_one(bank, round_trips, account_id, headers):
    assert round_trips(partial(deposit, bank, account_id, headers=headers), 201) == 1
    account = bank.get(f"/api/accounts/{account_id}", params={"minVersion": 3}, headers=headers)
    guarded = headers | {"If-Match": account.headers["ETag"]}
    assert round_trips(partial(deposit, bank, account_id, headers=guarded), 201) == 1
    assert round_trips(partial(withdraw, bank, account_id, headers=headers, amount=10**9), 422) == 1


def test_a_replay_takes_one_and_so_does_the_question_what_became_of_it(bank, round_trips, account_id, headers):
    key = str(uuid4())
    again = partial(deposit, bank, account_id, headers=headers, commandId=key)
    assert round_trips(again, 201) == 1
    assert round_trips(again, 201) == 1
    assert round_trips(partial(bank.get, f"/api/commands/{key}", headers=headers), 200) == 1


def test_a_transfer_takes_one(bank, round_trips, account_id, headers):
    ends = {"sourceAccountId": account_id, "destinationAccountId": open_account(bank, headers=headers)}
    content = {**ends, "amount": 1, "currency": "USD", "commandId": str(uuid4())}
    assert round_trips(partial(bank.post, "/api/transfers", json=content, headers=headers), 201) == 1


@pytest.mark.parametrize(
    "url", ["/api/accounts/{}/balance", "/api/accounts/{}", "/api/accounts/{}/history", "/api/accounts"]
)
def test_a_read_takes_one(bank, round_trips, account_id, headers, url):
    assert round_trips(partial(bank.get, url.format(account_id), headers=headers), 200) == 1
    if "{}" in url:
        at_least = {"minVersion": 2}
        assert round_trips(partial(bank.get, url.format(account_id), params=at_least, headers=headers), 200) == 1


@pytest.mark.parametrize("url", ["/api/accounts/{}", "/api/accounts/{}/balance", "/api/accounts/{}/history"])
def test_what_another_client_may_not_see_takes_what_takes_what_is_not_there(bank, proxy, account_id, url):
    stranger = bearer(issue_token(f"client-{uuid4()}"))
    taken = []
    for query in ({}, {"minVersion": 1}, {"minVersion": 9}):
        for id_ in (account_id, f"acc-{uuid4()}"):
            assert bank.get("/api/accounts", params={"limit": 0}, headers=stranger).status_code == 400
            before = proxy.round_trips
            assert bank.get(url.format(id_), params=query, headers=stranger).status_code == 404
            taken.append(proxy.round_trips - before)
    assert taken[::2] == taken[1::2]
