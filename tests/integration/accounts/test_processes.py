"""Several processes write to one account, each with what it remembers of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from accounts.repository import account_stream_id, load_account
from eventstore.chain import event_hash
from eventstore.postgres import PostgresEventStore
from tests.integration.accounts import moving_process
from tests.journeys.web_server import process_environment
from tests.keyed_account_commands import deposit, opened_with, withdraw

THREADS, TIMES = 4, 25


class MovingProcess:
    """Another process of the bank, which moves money when it is told to."""

    def __init__(self, var_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, moving_process.__file__],
            env=process_environment(var_dir=var_dir, DJANGO_SETTINGS_MODULE="bank.settings"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def move(self, account_id: str, amount: int, *, threads: int = 1, times: int = 1) -> list[dict[str, Any]]:
        job = {"account_id": account_id, "amount": amount, "threads": threads, "times": times}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def processes(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[list[MovingProcess]]:
    with django_db_blocker.unblock():
        processes = [MovingProcess(tmp_path_factory.mktemp("moving")) for _ in range(2)]
    yield processes
    for process in processes:
        process.stop()


def test_what_one_process_put_in_another_that_remembers_nothing_there_takes_out(processes):
    a, b = processes
    account_id = opened_with(0)
    # All three know the account as it was.
    assert [process.move(account_id, -1)[0]["code"] for process in processes] == ["insufficient_funds"] * 2
    assert withdraw(account_id, 1).refused

    assert a.move(account_id, 100)[0]["balance"] == 100
    assert b.move(account_id, -100)[0]["balance"] == 0
    assert withdraw(account_id, 1).refused
    assert deposit(account_id, 5).result["balance"] == 5
    assert a.move(account_id, -5)[0]["balance"] == 0


def test_one_hot_account_and_no_client_sees_a_conflict(processes):
    account_id = opened_with(1)
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(process.move, account_id, 3, threads=THREADS, times=TIMES) for process in processes]
        verdicts = [verdict for future in done for verdict in future.result()]

    assert {verdict.get("status") for verdict in verdicts} == {"accepted"}, verdicts
    deposits = 2 * THREADS * TIMES
    assert sorted(verdict["version"] for verdict in verdicts) == list(range(3, 3 + deposits))
    assert sorted(verdict["balance"] for verdict in verdicts) == list(range(4, 4 + 3 * deposits, 3))
    assert load_account(account_id).state.balance == 1 + 3 * deposits
    link = b""
    for version, event in enumerate(PostgresEventStore().read_stream(account_stream_id(account_id), limit=1_000), 1):
        link = event_hash(previous_hash=link, stream_id=event.stream_id, version=version, event=event)
        assert (event.version, event.hash) == (version, link)
