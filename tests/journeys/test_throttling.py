"""Who sends too much, or guesses, is told when to come back, and nobody else notices."""

import time
from collections.abc import Callable, Iterator
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
    limits = dict.fromkeys(("THROTTLE_REQUESTS_PER_MINUTE", "THROTTLE_TURNED_AWAY_PER_MINUTE"), "1")
    variables = {"API_AUTH": API_AUTH, **limits}
    if API_AUTH == "token":
        variables["REDIS_URL"] = "redis://127.0.0.1:1/0"
    with web_server(var_dir=tmp_path, **variables) as bank:
        headers = bearer(issue_token(f"client-{uuid4()}"))
        assert {bank.get("/api/accounts", headers=headers).status_code for _ in range(5)} == {200}
        if API_AUTH == "token":
            assert {bank.get("/api/accounts", headers=bearer(uuid4().hex)).status_code for _ in range(5)} == {401}
            assert {bank.get("/metrics", headers=headers).status_code for _ in range(5)} == {403}


@pytest.fixture(scope="module")
def impatient(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a bank that turns few away a minute, and hears from a proxy where requests come from."""
    variables = {"API_AUTH": "token", "THROTTLE_TURNED_AWAY_PER_MINUTE": str(LIMIT), "TRUSTED_PROXIES": "1"}
    with web_server(var_dir=tmp_path_factory.mktemp("impatient"), **variables) as client:
        yield client


def within_a_minute(action: Callable[[], list[int]]) -> list[int]:
    """Return what `action` returns; it is done again if a minute ended meanwhile, and its counts with it."""
    while True:
        minute = time.time() // 60
        found = action()
        if time.time() // 60 == minute:
            return found


def test_guesses_are_limited_where_they_come_from(impatient):
    name = f"client-{uuid4()}"
    known, unknown = issue_token(name), issue_token(name)

    def status(token: str | None, address: str) -> int:
        headers = {} if token is None else bearer(token)
        response = impatient.get("/api/accounts", headers=headers | {"X-Forwarded-For": address})
        if response.status_code == 429:
            problem(response, status=429, code="throttled")
            assert 1 <= int(response.headers["Retry-After"]) <= 60
        return response.status_code

    def guessing() -> list[int]:
        here, elsewhere = (f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1" for _ in range(2))
        # Whoever has one such address has many.
        guesses = [status(uuid4().hex, f"{here[:-1]}{number:x}:7") for number in range(LIMIT + 2)]
        # Who is known goes on from there; whoever is not has to wait, be it with a token that is good or without one.
        return [status(known, elsewhere), *guesses, status(known, here), status(unknown, here), status(None, here)]

    assert within_a_minute(guessing) == [200, *[401] * LIMIT, 429, 429, 200, 429, 429]
    assert status(unknown, f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1") == 200


def test_a_good_token_that_is_good_for_nothing_is_limited_by_its_principal(impatient):
    def asking() -> list[int]:
        name = f"client-{uuid4()}"
        headers, others = bearer(issue_token(name)), bearer(issue_token(f"other-{name}"))
        asked = [("/metrics", headers)] * (LIMIT + 2) + [("/api/accounts", headers), ("/metrics", others)]
        return [impatient.get(path, headers=sender).status_code for path, sender in asked]

    assert within_a_minute(asking) == [*[403] * LIMIT, 429, 429, 200, 403]
