"""What a bank of several processes counts is what was sent to it, whichever of them answers and whichever dies."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
from django.db import connection
from prometheus_client.multiprocess import MultiProcessCollector

from tests.integration.eventstore.log_copies import raw_connection
from tests.integration.eventstore.test_log_lock import LOG_LOCK, WAITING_FOR_THE_LOG
from tests.journeys.account_api import deposit, open_account
from tests.journeys.web_server import web_server
from tests.own_bank import processes_of
from tests.polling import wait_until

CLIENTS = 8
DEPOSITS_EACH = 25
DEPOSITS = (
    "bank_http_request_duration_seconds_count"
    '{method="POST",route="api/accounts/<str:account_id>/deposits",status="201"}'
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def bank(django_db_setup, directory) -> Iterator[httpx.Client]:
    variables = {"API_AUTH": "open", "GRANIAN_WORKERS": "2", "GRANIAN_RESPAWN_FAILED_WORKERS": "true"}
    # Longer than any test holds the log.
    patience = dict.fromkeys(("DB_LOCK_TIMEOUT_MS", "DB_STATEMENT_TIMEOUT_MS"), "60000")
    with web_server(var_dir=directory, **variables, **patience) as client:
        yield client


def scraped(bank: httpx.Client) -> dict[str, float]:
    """Return all metrics, from whichever process takes a new connection."""
    answer = httpx.get(f"{bank.base_url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def deposit_many(bank: httpx.Client, account_id: str) -> None:
    """Send deposits over connections of their own."""

    def some(_: int) -> None:
        with httpx.Client(base_url=bank.base_url, timeout=20) as client:
            for _ in range(DEPOSITS_EACH):
                content = {"amount": 1, "currency": "USD"}
                assert client.post(f"/api/accounts/{account_id}/deposits", json=content).status_code == 201

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(some, range(CLIENTS)))


def collide(bank: httpx.Client, account_id: str) -> None:
    """Send deposits at once, and hold the log until two have been decided on the same version of the account."""

    def send() -> int:
        with httpx.Client(base_url=bank.base_url, timeout=60) as client:
            return deposit(client, account_id, amount=1).status_code

    with ThreadPoolExecutor(CLIENTS) as pool, raw_connection() as log:
        log.execute("SELECT pg_advisory_lock(%s)", [LOG_LOCK])
        sent = [pool.submit(send) for _ in range(CLIENTS)]
        wait_until(lambda: appends_that_wait() >= 2)
        log.execute("SELECT pg_advisory_unlock(%s)", [LOG_LOCK])
        assert [answer.result() for answer in sent] == [201] * CLIENTS


def appends_that_wait() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WAITING_FOR_THE_LOG, [LOG_LOCK])
        waiting: int = cursor.fetchone()[0]
    return waiting


def counting_processes(directory: Path) -> list[psutil.Process]:
    """Return the processes that have a place among those that count together."""
    found = []
    for process in processes_of(directory):
        # It may end while we look at it.
        with suppress(psutil.Error):
            if any("/slot-" in file.path for file in process.open_files()):
                found.append(process)
    return found


def deposits_counted_by(file: Path) -> float:
    return sum(
        sample.value
        for metric in MultiProcessCollector.merge([str(file)])
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels.get("route", "").endswith("/deposits")
    )


def test_all_processes_tell_the_sum_of_all(bank, directory):
    # On the one that both processes write to all the time they would not collide.
    account_id, other_account_id = open_account(bank), open_account(bank)
    before = scraped(bank)
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(deposit_many, bank, account_id)
        seen = [before]
        while not load.done():
            seen.append(scraped(bank))
        load.result()
    collide(bank, other_account_id)
    seen.append(scraped(bank))
    counters = [name for name in before if re.search(r"_(total|count|bucket|sum)\b", name)]
    for earlier, later in pairwise(seen):
        assert all(later[name] >= earlier[name] for name in counters)

    sent = CLIENTS * DEPOSITS_EACH + CLIENTS
    after = [scraped(bank) for _ in range(10)]
    assert {scrape[DEPOSITS] for scrape in after} == {before.get(DEPOSITS, 0) + sent}
    assert after[-1]["eventstore_events_appended_total"] == before["eventstore_events_appended_total"] + sent
    conflicts = after[-1]["eventstore_conflicts_total"] - before["eventstore_conflicts_total"]
    # Those that collided, at the least; and each conflict means deciding again.
    assert after[-1]["eventstore_retries_total"] - before["eventstore_retries_total"] == conflicts > 0
    counted = [deposits_counted_by(file) for file in (directory / "metrics").glob("histogram_*.db")]
    assert len(counted) == 2 and all(counted)


def test_a_killed_process_takes_no_count_with_it(bank, directory):
    account_id = open_account(bank)
    deposit_many(bank, account_id)
    before = scraped(bank)[DEPOSITS]
    files = sorted(file.name for file in (directory / "metrics").glob("*.db"))
    [killed, other] = counting_processes(directory)
    killed.kill()
    wait_until(lambda: len(set(counting_processes(directory)) - {killed}) == 2)
    assert other in counting_processes(directory)
    assert scraped(bank)[DEPOSITS] == before
    deposit_many(bank, account_id)
    assert scraped(bank)[DEPOSITS] == before + CLIENTS * DEPOSITS_EACH
    assert sorted(file.name for file in (directory / "metrics").glob("*.db")) == files
