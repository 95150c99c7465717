"""PostgreSQL and Valkey go away while the bank serves, and come back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from celery import Celery

from bank.embedded.postgres import EmbeddedPostgres
from bank.embedded.valkey import EmbeddedValkey
from tests.journeys.stoppable_servers import (
    PROJECTION_WORKER,
    StoppableServer,
    bank_environment,
    running_bank,
    running_process,
    running_server,
)
from tests.own_bank import processes_of
from tests.polling import wait_until

CLIENTS = 24


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outages")


@pytest.fixture(scope="module")
def postgres(directory) -> Iterator[StoppableServer]:
    with running_server(EmbeddedPostgres, directory / "postgres") as server:
        yield server


@pytest.fixture(scope="module")
def valkey(directory) -> Iterator[StoppableServer]:
    with running_server(EmbeddedValkey, directory / "valkey") as server:
        yield server


@pytest.fixture(scope="module")
def client(directory, postgres, valkey) -> Iterator[httpx.Client]:
    with running_bank(var_dir=directory / "bank", database_url=postgres.url, broker_url=valkey.url) as client:
        yield client


@pytest.fixture
def account_id(client) -> str:
    account_id = f"acc-{uuid4()}"
    content = {"accountId": account_id, "ownerId": "owner", "currency": "EUR"}
    assert client.post("/api/accounts", json=content).status_code == 201
    return account_id


def deposit(client: httpx.Client, account_id: str, *, key: str | None = None) -> httpx.Response:
    content = {"amount": 5, "currency": "EUR"} | ({"commandId": key} if key else {})
    return client.post(f"/api/accounts/{account_id}/deposits", json=content)


def balance(client: httpx.Client, account_id: str) -> int | None:
    response = client.get(f"/api/accounts/{account_id}/balance")
    return response.json()["balance"] if response.status_code == 200 else None


def reads_and_writes(
    client: httpx.Client, account_id: str, key: str
) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Read the account and deposit under one key, many times at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        reads = [pool.submit(client.get, f"/api/accounts/{account_id}") for _ in range(CLIENTS)]
        writes = [pool.submit(deposit, client, account_id, key=key) for _ in range(CLIENTS)]
        return [read.result() for read in reads], [write.result() for write in writes]


def check_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json()["code"] == "store_unavailable"
    assert response.json()["retryable"] is True


def admin_page(client: httpx.Client) -> httpx.Response:
    """Ask for a page that looks for a session in the database."""
    return client.get("/admin/login/", headers={"Cookie": "sessionid=of-somebody"})


def test_without_postgres_everything_answers_503_and_recovers_by_itself(client, postgres, account_id):
    assert deposit(client, account_id).status_code == 201
    wait_until(lambda: balance(client, account_id) == 5)
    key = str(uuid4())

    postgres.stop()
    reads, writes = reads_and_writes(client, account_id, key)
    for answer in (*reads, *writes, client.get("/health"), client.get("/api/accounts")):
        check_unavailable(answer)
    page = admin_page(client)
    assert (page.status_code, page.headers["Content-Type"]) == (503, "text/plain")
    assert int(page.headers["Retry-After"]) >= 1

    not_ready = client.get("/health/ready")
    assert (not_ready.status_code, not_ready.json()["code"]) == (503, "not_ready")
    assert (not_ready.json()["database"], not_ready.json()["broker"]) == ("away", "ok")
    assert client.get("/health/live").status_code == 200
    assert "bank_store_up 0.0" in client.get("/metrics").text

    postgres.start()
    # No request fails once the database is back, whatever connection its thread has kept.
    reads, writes = reads_and_writes(client, account_id, key)
    assert {read.status_code for read in reads} == {200}
    assert {write.status_code for write in writes} == {201}
    assert len({write.json()["eventId"] for write in writes}) == 1
    wait_until(lambda: balance(client, account_id) == 10)
    # The worker has come back by itself too.
    wait_until(lambda: client.get("/health/ready").status_code == 200)


def test_without_valkey_only_the_read_models_wait(client, valkey, directory, account_id):
    assert deposit(client, account_id).status_code == 201
    wait_until(lambda: balance(client, account_id) == 5)
    reads = [f"/api/accounts/{account_id}{what}" for what in ("", "/balance", "/history")]
    before = [client.get(read).json() for read in reads]

    valkey.stop()
    # Until then the slice that was under way may go on projecting.
    wait_until(lambda: "Cannot connect to redis" in (directory / "bank" / "worker.log").read_text())
    assert [client.get(read).json() for read in reads] == before
    assert admin_page(client).status_code == 200
    for _ in range(3):
        assert deposit(client, account_id).status_code == 201
        assert client.get("/health").status_code == 200
        assert client.get("/api/accounts").status_code == 200
    not_ready = client.get("/health/ready")
    assert (not_ready.status_code, not_ready.json()["broker"], not_ready.json()["database"]) == (503, "away", "ok")
    valkey.start()
    assert deposit(client, account_id).status_code == 201
    wait_until(lambda: balance(client, account_id) == 25)
    wait_until(lambda: client.get("/health/ready").status_code == 200)


def kill_worker(var_dir: Path) -> None:
    """End the worker, and the beat in it, with no chance to finish anything."""
    workers = [process for process in processes_of(var_dir) if "celery" in process.cmdline()]
    for process in workers:
        process.kill()
    # Its parent, this process, may not have asked after it yet: then it stays as a zombie.
    wait_until(lambda: all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in workers))


def standing(client: httpx.Client) -> tuple[int, set[str]]:
    """Return the answer to whether the bank is ready, and what it says of its projections."""
    answer = client.get("/health/ready")
    return answer.status_code, {one["status"] for one in answer.json()["projections"].values()}


def test_a_dead_worker_does_not_look_healthy_and_what_comes_in_its_place_does_all_of_it_once(
    client, directory, postgres, valkey, account_id
):
    """In its place come two, each with a beat of its own, and find more messages than anybody should have sent."""
    assert deposit(client, account_id).status_code == 201
    wait_until(lambda: balance(client, account_id) == 5)
    kill_worker(directory / "bank")
    version = deposit(client, account_id).json()["version"]
    wait_until(lambda: standing(client) == (503, {"stopped"}))
    ready = client.get("/health/ready").json()
    assert (ready["database"], ready["broker"]) == ("ok", "ok")
    assert all(one["lagEvents"] >= 1 and one["heartbeatAgeSeconds"] > 4 for one in ready["projections"].values())
    # Nothing else has stopped.
    assert balance(client, account_id) == 5
    assert client.get(f"/api/accounts/{account_id}/balance?minVersion={version}").json()["balance"] == 10

    with Celery(broker=valkey.url, set_as_current=False) as app:
        for _ in range(10):
            app.send_task("projections.advance", queue="projections")
    servers = {"database_url": postgres.url, "broker_url": valkey.url}
    places = [directory / "bank", directory / "another machine"]
    places[1].mkdir()
    first, second = (
        running_process("worker", PROJECTION_WORKER, bank_environment(var_dir=place, **servers), place)
        for place in places
    )
    with first, second:
        wait_until(lambda: balance(client, account_id) == 10)
        for _ in range(20):
            assert deposit(client, account_id).status_code == 201
        wait_until(lambda: balance(client, account_id) == 110)
        wait_until(lambda: standing(client) == (200, {"ok"}))
        entries = client.get(f"/api/accounts/{account_id}/history").json()["entries"]
        assert [entry["balance"] for entry in entries] == [0, *range(5, 115, 5)]
