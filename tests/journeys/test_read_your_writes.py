"""Write, then read: with no worker running, so that no read model ever hears of the write."""

from uuid import uuid4

from tests.journeys.account_api import deposit, open_account, problem, withdraw
from tests.journeys.principals import bearer, issue_token


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
