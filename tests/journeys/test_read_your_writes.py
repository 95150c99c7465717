"""Write, then read: with no worker running, so that no read model ever hears of the write, and with one in full run."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import httpx

from tests.journeys.account_api import deposit, open_account, problem, withdraw
from tests.journeys.principals import bearer, issue_token
from tests.journeys.stoppable_servers import PROJECTION_WORKER, running_process
from tests.journeys.web_server import process_environment
from tests.polling import wait_until


def test_what_was_written_is_read_at_once(api):
    account_id = open_account(api)
    account = f"/api/accounts/{account_id}"
    lines = [("AccountCreated", 0)]
    for write, event_type, balance in (
        (deposit, "MoneyDeposited", 1000),
        (withdraw, "MoneyWithdrawn", 800),
        (deposit, "MoneyDeposited", 1800),
    ):
        written = write(api, account_id).json()
        lines.append((event_type, balance))
        at_least = {"minVersion": written["version"]}

        response = api.get(account, params=at_least)
        assert (response.json()["balance"], response.json()["version"]) == (balance, written["version"])
        assert response.headers["ETag"] == f'"{written["version"]}"'
        assert api.get(f"{account}/balance", params=at_least).json()["balance"] == balance
        history = api.get(f"{account}/history", params=at_least).json()["entries"]
        assert [(line["eventType"], line["balance"]) for line in history] == lines
        assert int(response.headers["X-Projection-Position"]) < written["position"]
        assert int(response.headers["X-Projection-Age-Ms"]) > 0

    assert api.get(f"{account}/balance").status_code == 404


def test_what_is_not_written_is_not_waited_for(api):
    account_id = open_account(api)
    for view in ("", "/balance", "/history"):
        document = problem(
            api.get(f"/api/accounts/{account_id}{view}", params={"minVersion": 2}), status=409, code="version_conflict"
        )
        assert (document["expectedVersion"], document["actualVersion"]) == (2, 1)
        unknown = api.get(f"/api/accounts/acc-{uuid4()}{view}", params={"minVersion": 1})
        problem(unknown, status=404, code="account_not_found")


def test_the_etag_of_a_read_guards_the_next_write(api):
    account_id = open_account(api)
    etag = api.get(f"/api/accounts/{account_id}", params={"minVersion": 1}).headers["ETag"]
    assert deposit(api, account_id, headers={"If-Match": etag}).status_code == 201
    problem(withdraw(api, account_id, headers={"If-Match": etag}), status=409, code="version_conflict")


def test_no_version_tells_a_client_of_the_account_of_another(guarded):
    own, other = (bearer(issue_token(f"client-{uuid4()}")) for _ in range(2))
    account_id = open_account(guarded, headers=own)
    for view in ("", "/balance", "/history"):
        url = f"/api/accounts/{account_id}{view}"
        for version in (1, 2):
            problem(
                guarded.get(url, params={"minVersion": version}, headers=other), status=404, code="account_not_found"
            )
        assert guarded.get(url, params={"minVersion": 1}, headers=own).status_code == 200


def test_beside_a_running_worker_no_read_is_behind_its_write(api, tmp_path):
    """Whatever the worker has come to when the read is made, and however far it gets while that is under way."""
    env = process_environment(var_dir=tmp_path, API_AUTH="open", PROJECTION_IDLE_SECONDS="0.001")
    with running_process("worker", PROJECTION_WORKER, env, tmp_path), ThreadPoolExecutor(4) as clients:
        account_id = open_account(api)
        wait_until(lambda: api.get(f"/api/accounts/{account_id}").status_code == 200)
        account_ids = list(clients.map(partial(write_and_read, str(api.base_url)), range(12, 16)))
        for account_id, number in zip(account_ids, range(12, 16), strict=True):
            wait_until(partial(has_arrived, api, account_id, number + 1))
            assert api.get(f"/api/accounts/{account_id}/history").json()["entries"][-1]["streamVersion"] == number + 1


def has_arrived(api: httpx.Client, account_id: str, version: int) -> bool:
    views = ("", "/history")
    return all(api.get(f"/api/accounts/{account_id}{view}").headers.get("ETag") == f'"{version}"' for view in views)


def write_and_read(url: str, number: int) -> str:
    """Make `number` deposits of different amounts, and look at all that is read after each."""
    with httpx.Client(base_url=url, timeout=20) as api:
        account_id = open_account(api)
        account, balances = f"/api/accounts/{account_id}", [0]
        for amount in range(1, number + 1):
            written = deposit(api, account_id, amount=amount).json()
            balances.append(balances[-1] + amount)
            at_least = {"minVersion": written["version"]}
            # The account is at this version and no later: nobody else writes to it.
            for view in ("", "/balance"):
                read = api.get(account + view, params=at_least)
                assert (read.json()["balance"], read.json()["version"]) == (balances[-1], amount + 1)
            forwards = api.get(f"{account}/history", params=at_least).json()["entries"]
            backwards = api.get(f"{account}/history", params={**at_least, "order": "desc"}).json()["entries"]
            assert [line["balance"] for line in forwards] == balances
            assert [line["streamVersion"] for line in forwards] == list(range(1, amount + 2))
            assert backwards == forwards[::-1]
    return account_id
