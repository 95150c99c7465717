"""Histories by RSGI, where they are fibers: the same answers as by WSGI, and none that waits for a thread."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import psycopg
import pytest

from projections.runner import catch_up
from tests.journeys.account_api import deposit, open_account, problem, withdraw
from tests.journeys.principals import bearer, issue_token
from tests.journeys.web_server import WebServer, database_url, running_web_server
from tests.polling import wait_until

HOST = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
OWN = ("date", "x-request-id", "x-projection-age-ms")
"""Headers that are another each time."""
NOTES = {"a": 'a "quote", a \\ and \u00a0', "\u00fc\U0001f3e6": "</script>"}

QUERIES = [
    "",
    "?limit=2",
    "?limit=2&offset=1",
    "?limit=500&offset=10000",
    "?limit=500&order=desc",
    "?after=2",
    "?after=3&order=desc",
    "?type=MoneyWithdrawn",
    "?from=2026-03-22T12:00Z&to=2100-01-01T00:00:00.000001%2B02:00",
    "?minVersion=3",
    "?minVersion=5",
    "?minVersion=5&order=desc&limit=2&offset=1",
    "?minVersion=5&type=MoneyDeposited",
    "?minVersion=6",
    "?minVersion=9007199254740991",
    # What is refused.
    "?minVersion=0",
    "?minVersion=9007199254740992",
    "?limit=0",
    "?limit=501",
    "?limit=%31%30",
    "?limit=\u0661",
    "?limit=1e2",
    "?limit=",
    "?limit",
    "?limit=1&limit=2",
    "?offset=-1",
    "?offset=10001",
    "?after=x",
    "?after=" + "9" * 5_000,
    "?order=sideways",
    "?type=%00",
    "?type=MoneyDeposited'%3B--",
    "?from=2026-03-22",
    "?from=0001-01-01T00:00%2B23:59",
    "?to=9999-12-31T23:59:59.999999-23:59",
    "?unknown=1",
    "?%FF=%FF",
    "?a%00b=1",
    "?" + "&".join(f"x{number}=1" for number in range(2_000)),
]
PATHS = [
    "/api/accounts/acc-nobody/history",
    "/api/accounts/a%00b/history",
    "/api/accounts/%FF/history",
    "/api/accounts/%2e%2e/history",
    "/api/accounts/a%2Fb/history",
    "/api/accounts/" + "a" * 5_000 + "/history",
    "/api/accounts//history",
    "/api/accounts/acc-1/history/",
    "/api/accounts/acc-1/History",
    "/api/accounts/\u00e9/history",
]


@pytest.fixture(scope="module")
def servers(django_db_setup, tmp_path_factory) -> Iterator[list[WebServer]]:
    """The bank by WSGI and by RSGI, with one thread for whatever needs one."""
    made = [tmp_path_factory.mktemp(name) for name in ("wsgi", "rsgi")]
    common = {
        "web_threads": "1",
        "API_AUTH": "token",
        "DB_LOCK_TIMEOUT_MS": "60000",
        "DB_STATEMENT_TIMEOUT_MS": "60000",
    }
    with (
        running_web_server(var_dir=made[0], application="bank.wsgi:application", interface="wsgi", **common) as by_wsgi,
        running_web_server(var_dir=made[1], **common) as by_rsgi,
    ):
        yield [by_wsgi, by_rsgi]


@pytest.fixture(scope="module")
def token(servers, django_db_blocker) -> dict[str, str]:
    with django_db_blocker.unblock():
        return bearer(issue_token(f"client-{uuid4()}"))


@pytest.fixture(scope="module")
def account_id(servers, token, django_db_blocker) -> str:
    """An account of whose five lines the read model has four."""
    with httpx.Client(base_url=servers[1].url, timeout=20) as api, django_db_blocker.unblock():
        account_id = open_account(api, balance=1_000, headers=token)
        assert withdraw(api, account_id, headers=token, metadata=NOTES, description="a\u00a0b").status_code == 201
        assert deposit(api, account_id, headers=token, transactionId="tx \u00fc").status_code == 201
        catch_up()
        assert deposit(api, account_id, headers=token, metadata=NOTES).status_code == 201
    return account_id


def sent(server: WebServer, target: str, headers: dict[str, str], method: str = "GET") -> tuple[int, object, object]:
    """Return status, headers and content of the answer to a request whose target is sent as it is."""
    address = httpx.URL(server.url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        connection.sendall(method.encode() + b" " + target.encode() + HOST + lines.encode() + b"\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    told = sorted((name.lower(), value) for name, _, value in (field.partition(": ") for field in fields))
    document = httpx.Response(200, content=content).json() if content.startswith(b"{") else content
    if isinstance(document, dict):
        document.pop("requestId", None)
    return int(status.split(" ")[1]), [(name, value) for name, value in told if name not in OWN], document


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40] or "all")
def test_the_answer_is_that_of_wsgi(servers, account_id, token, query):
    by_wsgi, by_rsgi = (sent(server, f"/api/accounts/{account_id}/history{query}", token) for server in servers)
    assert by_rsgi == by_wsgi
    assert by_rsgi[0] < 500


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_the_answer_is_that_of_wsgi_where_there_is_no_history(servers, token, path):
    by_wsgi, by_rsgi = (sent(server, path, token) for server in servers)
    assert by_rsgi == by_wsgi
    assert by_rsgi[0] in (400, 404)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "DELETE", "get"])
def test_the_answer_is_that_of_wsgi_by_other_methods(servers, account_id, token, method):
    by_wsgi, by_rsgi = (sent(server, f"/api/accounts/{account_id}/history", token, method) for server in servers)
    assert by_rsgi == by_wsgi


def test_the_answer_is_that_of_wsgi_to_who_may_not_see_it(servers, account_id):
    stranger = bearer(issue_token(f"client-{uuid4()}"))
    for headers, status in ((stranger, 404), ({}, 401), ({"Authorization": "Bearer x"}, 401)):
        for query in ("", "?minVersion=5", "?minVersion=9", "?type=MoneyWithdrawn", "?limit=0"):
            path = f"/api/accounts/{account_id}/history{query}"
            by_wsgi, by_rsgi = (sent(server, path, headers) for server in servers)
            assert by_rsgi == by_wsgi
            assert by_rsgi[0] == (400 if query == "?limit=0" and status == 404 else status)


def test_a_history_is_told_while_no_thread_is_free(servers, account_id, token):
    """All that need one wait for the one there is, and it waits for the database."""
    with (
        httpx.Client(base_url=servers[1].url, timeout=20, headers=token) as api,
        ThreadPoolExecutor(3) as clients,
        psycopg.connect(database_url()) as postgres,
    ):
        history = f"/api/accounts/{account_id}/history"
        assert api.get(history).status_code == 200
        postgres.execute("LOCK TABLE transfer_status IN ACCESS EXCLUSIVE MODE")
        page = clients.submit(api.get, "/api/transfers", params={"accountId": account_id})
        wait_until(lambda: waits(postgres))
        long = clients.submit(api.get, history, params={"type": "MoneyWithdrawn"})
        for _ in range(5):
            answer = api.get(history)
            assert [line["balance"] for line in answer.json()["entries"]] == [0, 1_000, 800, 1_800]
        problem(api.get(history, params={"minVersion": 6}), status=409, code="version_conflict")
        assert not page.done()
        assert not long.done()
        postgres.rollback()
        assert page.result(20).status_code == 200
        assert [line["balance"] for line in long.result(20).json()["entries"]] == [800]


def waits(postgres: psycopg.Connection) -> bool:
    """Tell whether somebody waits for what is locked."""
    waiting = "SELECT FROM pg_locks WHERE relation = 'transfer_status'::regclass AND NOT granted"
    return bool(postgres.execute(waiting).fetchall())
