"""A client that sends too much is told when to come back, and nobody else notices."""

from uuid import uuid4

import httpx
import pytest

from tests.journeys.account_api import deposit, events_of, open_account, problem
from tests.journeys.principals import bearer, issue_token
from tests.journeys.web_server import web_server

LIMIT = 5


def until_refused(bank: httpx.Client, headers: dict[str, str]) -> list[httpx.Response]:
    """Read until the bank has enough; a minute may end meanwhile, so that the limit is met twice at most."""
    answers: list[httpx.Response] = []
    while not answers or answers[-1].status_code == 200:
        assert len(answers) <= 2 * LIMIT
        answers.append(bank.get("/api/accounts", params={"limit": 1}, headers=headers))
    return answers


def test_too_many_requests(django_db_setup, tmp_path):
    with web_server(var_dir=tmp_path, API_AUTH="token", THROTTLE_REQUESTS_PER_MINUTE=str(LIMIT)) as bank:
        name = f"client-{uuid4()}"
        token, rotated = issue_token(name), issue_token(name)
        account_id = open_account(bank, headers=bearer(token))
        *served, refused = until_refused(bank, bearer(token))
        assert len(served) >= LIMIT - 1
        problem(refused, status=429, code="throttled")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        # Another token is no other client, and another client is another client.
        throttled = [
            response for response in (deposit(bank, account_id, headers=bearer(rotated)) for _ in range(2 * LIMIT))
        ]
        assert 429 in {response.status_code for response in throttled}
        assert len(events_of(account_id)) == 1 + sum(response.status_code == 201 for response in throttled)
        other = bank.get("/api/accounts", headers=bearer(issue_token(f"other-{name}")))
        assert other.status_code == 200


@pytest.mark.parametrize("API_AUTH", ["token", "open"])
def test_without_valkey_or_without_tokens_nobody_is_refused(django_db_setup, tmp_path, API_AUTH):
    variables = {"API_AUTH": API_AUTH, "THROTTLE_REQUESTS_PER_MINUTE": "1"}
    if API_AUTH == "token":
        variables["REDIS_URL"] = "redis://127.0.0.1:1/0"
    with web_server(var_dir=tmp_path, **variables) as bank:
        headers = bearer(issue_token(f"client-{uuid4()}"))
        assert {bank.get("/api/accounts", headers=headers).status_code for _ in range(5)} == {200}
