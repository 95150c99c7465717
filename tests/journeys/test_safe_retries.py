"""Clients that repeat what they got no answer to: each command counts once, whatever dies in between."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from accounts.repository import account_stream_id, load_account
from eventstore.store import event_store
from tests.journeys.account_api import deposit, events_of, open_account, problem, withdraw
from tests.journeys.web_server import WebServer, running_web_server
from tests.polling import DEADLINE_SECONDS, wait_until

CONNECTIONS = 8


def test_fifty_at_once_with_one_key_are_one(api):
    account_id = open_account(api, balance=1000)
    key = {"Idempotency-Key": str(uuid4())}
    together = Barrier(50)

    def send(_: int) -> httpx.Response:
        together.wait(DEADLINE_SECONDS)
        return withdraw(api, account_id, headers=key)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    [(status, content, etag)] = {(answer.status_code, answer.content, answer.headers["ETag"]) for answer in answers}
    assert (status, json.loads(content)["balance"], etag) == (201, 800, '"3"')
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == ["", *["true"] * 49]
    assert [event.event_type for event in events_of(account_id)] == [
        "AccountCreated",
        "MoneyDeposited",
        "MoneyWithdrawn",
    ]


def test_of_different_commands_at_once_with_one_key_one_is_carried_out(api):
    account_id = open_account(api)
    key = {"Idempotency-Key": str(uuid4())}
    together = Barrier(CONNECTIONS)

    def send(amount: int) -> httpx.Response:
        together.wait(DEADLINE_SECONDS)
        return deposit(api, account_id, headers=key, amount=amount)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(send, range(1, CONNECTIONS + 1)))
    [accepted] = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer is not accepted:
            problem(answer, status=422, code="idempotency_key_reused")
    [_, deposited] = events_of(account_id)
    assert deposited.data["amount"] == answers.index(accepted) + 1 == accepted.json()["balance"]


def test_each_of_500_commands_counts_once_though_sent_twice_and_the_server_killed(tmp_path):
    number = 500
    with running_web_server(var_dir=tmp_path, API_AUTH="open") as server:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            account_id = open_account(client)
        # Each amount is another, so that the balance tells whether any command counted twice and another never.
        commands = [{"commandId": str(uuid4()), "amount": amount} for amount in range(1, number + 1)]
        pairs = [(Barrier(2), commands[first :: CONNECTIONS // 2]) for first in range(CONNECTIONS // 2)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            senders = [
                [pool.submit(send_all, server, account_id, share, together) for _ in range(2)]
                for together, share in pairs
            ]
            wait_until(lambda: load_account(account_id).version > number // 3)
            server.kill()
            assert load_account(account_id).version < number
            server.start_again()
        for one, other in senders:
            for answer, its_twin in zip(one.result(), other.result(), strict=True):
                assert (answer.status_code, answer.content) == (201, its_twin.content)
                assert "Idempotent-Replayed" in answer.headers or "Idempotent-Replayed" in its_twin.headers

    events = event_store().read_stream(account_stream_id(account_id), limit=2 * number)[1:]
    assert len(events) == number
    assert {event.metadata["commandId"]: event.data["amount"] for event in events} == {
        command["commandId"]: command["amount"] for command in commands
    }
    assert load_account(account_id).state.balance == sum(range(1, number + 1))


def send_all(
    server: WebServer, account_id: str, commands: list[dict[str, Any]], together: Barrier
) -> list[httpx.Response]:
    """Send each command at the same time as the other party of `together`, again and again until it is answered."""
    answers = []
    with httpx.Client(base_url=server.url, timeout=20) as client:
        for command in commands:
            together.wait(DEADLINE_SECONDS)
            answers.append(wait_until(partial(answer_to, client, account_id, command)))
    return answers


def answer_to(client: httpx.Client, account_id: str, command: dict[str, Any]) -> httpx.Response | None:
    try:
        response = deposit(client, account_id, **command)
    except httpx.TransportError:
        return None
    return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response


def test_a_first_attempt_that_arrives_after_its_retry_was_refused_is_refused_too(api):
    account_id, key = open_account(api), str(uuid4())
    content = json.dumps({"amount": 200, "currency": "USD", "commandId": key}).encode()
    address = urlsplit(str(api.base_url))
    head = (
        f"POST /api/accounts/{account_id}/withdrawals HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=20) as late:
        late.sendall(head.encode() + content[:-1])
        problem(withdraw(api, account_id, commandId=key), status=422, code="insufficient_funds")
        assert deposit(api, account_id).status_code == 201
        late.sendall(content[-1:])
        with late.makefile("rb") as answer:
            status, *headers = answer.read().split(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert b" 422 " in status
    assert b"idempotent-replayed: true" in headers
    assert load_account(account_id).state.balance == 1000
