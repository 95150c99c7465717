"""A verification beside writers, a projection worker and rebuilds sees one moment of each stream, and no difference."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import psycopg
import pytest
from django.db import connection, transaction

from eventstore.store import event_store
from projections.projectors import PROJECTORS
from projections.rebuilding.rebuild import rebuild_projection
from projections.runner import advance_all, catch_up
from projections.streams import rebuild_stream
from projections.verification import run, sorted_rows
from projections.verification.consistent_view import consistent_view
from tests.integration.eventstore.log_copies import raw_connection
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database
from tests.integration.projections.own_database import run as sql
from tests.integration.projections.own_database import verify
from tests.keyed_account_commands import deposit, opened_with
from tests.polling import wait_until
from tests.transfer_books import transfer
from transfers.handlers import resume_transfer
from transfers.in_flight import due_transfers

TRANSFERS = 60
WAITS_FOR_A_VERIFICATION = """
    SELECT count(*) FROM pg_locks
    WHERE relation = 'verified_streams'::regclass AND mode = 'ExclusiveLock' AND NOT granted
"""


@contextmanager
def running(*works: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Run each of `works` in a thread of its own; it is given what tells it to stop. What it raises is raised here."""
    stop = Event()

    def whole(work: Callable[[Callable[[], bool]], None]) -> None:
        try:
            work(stop.is_set)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        done = [pool.submit(whole, work) for work in works]
        try:
            yield
        finally:
            stop.set()
        for one in done:
            one.result()


def test_no_false_difference(settings, monkeypatch):
    monkeypatch.setattr(run, "SLICE_SECONDS", 0.2)
    monkeypatch.setattr(sorted_rows, "PAGE_ROWS", 7)
    settings.SNAPSHOT_EVERY_EVENTS = 5
    settings.PROJECTION_BATCH_EVENTS = 20
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0
    accounts = [opened_with(10_000) for _ in range(6)]
    catch_up()

    sent = Event()

    def send(should_stop: Callable[[], bool]) -> None:
        try:
            for number in range(TRANSFERS):
                transfer(accounts[number % 6], accounts[(number + 1) % 6], 1 + number % 7)
                deposit(accounts[number % 5], 1)
                if number % 10 == 0:
                    opened_with(number)
        finally:
            sent.set()

    def resume(should_stop: Callable[[], bool]) -> None:
        while not should_stop():
            for transfer_id in due_transfers(limit=5):
                resume_transfer(transfer_id=transfer_id)

    def project(should_stop: Callable[[], bool]) -> None:
        advance_all(slice_seconds=120, should_stop=should_stop)

    def rebuild(should_stop: Callable[[], bool]) -> None:
        while not should_stop():
            for projector in PROJECTORS[:2]:
                rebuild_stream(projector=projector, stream_id=f"account-{accounts[0]}")

    rounds_beside_writes = 0
    with running(send, resume, project, rebuild):
        while not sent.is_set():
            before = event_store().head_position()
            verified = verify()
            assert (verified.exit_code, verified.differences, verified.err) == (0, [], "")
            rounds_beside_writes += event_store().head_position() > before
    assert rounds_beside_writes
    assert verify().exit_code == 0


def test_two_verifications_at_once(monkeypatch):
    monkeypatch.setattr(run, "SLICE_SECONDS", 0.0)
    for _ in range(8):
        opened_with(5)
    catch_up()

    def verify_too(should_stop: Callable[[], bool]) -> None:
        while not should_stop():
            assert verify().exit_code == 0

    with running(verify_too):
        for _ in range(3):
            assert verify().exit_code == 0
    assert sql("SELECT count(*) FROM verified_streams WHERE version = 2") == [(8,)]


def test_no_read_model_is_replaced_under_a_view(own_database):
    """Its rows would be of another moment than the events. Whoever reads and writes them goes on."""
    with consistent_view(projectors=PROJECTORS), raw_connection() as other:
        other.execute("SET lock_timeout = '20ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("ALTER TABLE account_summary RENAME TO old_summary")
        other.execute("DELETE FROM account_summary")
    with raw_connection() as other:
        other.execute("ALTER TABLE account_summary RENAME TO old_summary")
        other.execute("ALTER TABLE old_summary RENAME TO account_summary")


def test_a_rebuilt_read_model_gets_in_between_two_slices():
    """Slices follow each other without a pause; a swap that tried its luck would hardly ever find a gap."""
    accounts = [opened_with(5) for _ in range(3)]
    catch_up()

    with ThreadPoolExecutor(1) as pool, consistent_view(projectors=PROJECTORS):
        with raw_connection() as other:
            rebuilt = pool.submit(rebuild_projection, projector=PROJECTORS[0])
            wait_until(lambda: other.execute(WAITS_FOR_A_VERIFICATION).fetchone() == (1,))
            # Whoever reads does not wait.
            assert other.execute("SELECT count(*) FROM account_summary").fetchone() == (len(accounts),)
        assert sql("SELECT count(*) FROM account_summary") == [(len(accounts),)]
        assert not rebuilt.done()
        transaction.set_rollback(True)
    assert rebuilt.result().tries == 1
    assert verify().exit_code == 0


def test_rebuilds_under_verifications(monkeypatch):
    monkeypatch.setattr(run, "SLICE_SECONDS", 0.2)
    for _ in range(3):
        opened_with(5)
    catch_up()

    def verify_too(should_stop: Callable[[], bool]) -> None:
        while not should_stop():
            assert (ended := verify()).exit_code == 0, ended

    with running(verify_too):
        for projector in PROJECTORS:
            assert rebuild_projection(projector=projector).tries == 1
