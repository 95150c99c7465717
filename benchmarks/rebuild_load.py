"""Who uses the bank while its read models are rebuilt: each in a process of its own, until told to stop."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

PACE_SECONDS = 0.01
"""Between two commands of the writer, and two looks of a reader."""

LONG_READ_SECONDS = 10.0

QUERIES = {
    "account_summary": "SELECT balance FROM account_summary WHERE account_id = 'acc-0000007'",
    "account_statement": "SELECT balance FROM account_statement WHERE account_id = 'acc-0000007' ORDER BY position",
    "another table": "SELECT position FROM projection_checkpoints WHERE projection = 'account_summary'",
}


@contextmanager
def load() -> Iterator[Callable[[], dict[str, list[tuple[float, float]]]]]:
    """Let a writer and readers work; what is given ends them and returns when each look began, and its seconds."""
    spawn = multiprocessing.get_context("spawn")
    stop, looks = spawn.Event(), spawn.Queue()
    processes = [spawn.Process(target=_write, args=(stop,))]
    processes += [spawn.Process(target=_read, args=(name, stop, looks)) for name in QUERIES]
    for process in processes:
        process.start()

    def ended() -> dict[str, list[tuple[float, float]]]:
        stop.set()
        found = dict(looks.get(timeout=60) for _ in QUERIES)
        for process in processes:
            process.join()
        return found

    try:
        yield ended
    finally:
        stop.set()


def _write(stop: Event) -> None:
    import django

    django.setup()
    from accounts.domain.commands import DepositMoney
    from accounts.handlers import deposit_money
    from eventstore.records import CommandContext

    number = 0
    while not stop.is_set():
        number += 1
        command = DepositMoney(account_id=f"acc-{number % 1_000:07d}", amount=1, currency="USD")
        deposit_money(command=command, context=CommandContext())
        time.sleep(PACE_SECONDS)


def _read(name: str, stop: Event, looks: Any) -> None:
    import django

    django.setup()
    from django.db import connection

    found = []
    with connection.cursor() as cursor:
        while not stop.is_set():
            began = time.monotonic()
            cursor.execute(QUERIES[name])
            rows = cursor.fetchall()
            found.append((began, time.monotonic() - began))
            if not rows:
                raise AssertionError(f"{name} is empty")
            time.sleep(PACE_SECONDS)
    looks.put((name, found))


@contextmanager
def long_read() -> Iterator[None]:
    """Hold account_summary as one long query does, until a swap has waited for it for LONG_READ_SECONDS."""
    spawn = multiprocessing.get_context("spawn")
    is_held = spawn.Event()
    process = spawn.Process(target=_hold, args=(is_held,))
    process.start()
    is_held.wait()
    try:
        yield
    finally:
        process.join()


def _hold(is_held: Event) -> None:
    import django

    django.setup()
    from django.db import connection, transaction

    waiting = "SELECT 1 FROM pg_locks WHERE relation = 'account_summary'::regclass AND mode = 'AccessExclusiveLock'"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT count(*) FROM account_summary")
        is_held.set()
        while True:
            cursor.execute(waiting)
            if cursor.fetchone():
                break
            time.sleep(0.001)
        time.sleep(LONG_READ_SECONDS)
