"""What keeps the projections going: slices, a thread, the Celery task, and an outage of the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest
from celery.signals import worker_shutting_down
from django.db import connection
from django.utils import timezone

from projections import runner, tasks
from projections.engine import advance
from projections.lag import projection_lags
from projections.models import AccountStatement, AccountSummary, ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.projectors.account_summary import AccountSummaryProjector
from projections.runner import advance_all, catch_up, run_forever
from tests.factories import NewEventFactory
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.polling import DEADLINE_SECONDS, wait_until


def appended_account() -> str:
    """Append a new account with some movements and return its stream's id."""
    stream = busy_account(4)
    append(stream)
    return stream.stream_id


def is_projected(stream_id: str) -> bool:
    account_id = stream_id.removeprefix("account-")
    has_line = AccountStatement.objects.filter(account_id=account_id, stream_version=4).exists()
    return has_line and AccountSummary.objects.filter(account_id=account_id, version=4).exists()


def maintenance_session() -> psycopg.Connection:
    server = connection.settings_dict
    return psycopg.connect(
        host=server["HOST"],
        port=server["PORT"],
        user=server["USER"],
        password=server["PASSWORD"],
        dbname="postgres",
        autocommit=True,
    )


@contextmanager
def outage() -> Iterator[None]:
    """Break every connection to the tests' database, and let nobody in before the end."""
    name = connection.settings_dict["NAME"]
    database = psycopg.sql.Identifier(name)
    with maintenance_session() as session:
        session.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            connection.close()
            yield
        finally:
            session.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))


@contextmanager
def running(target: Callable[[Event], None]) -> Iterator[None]:
    """Run `target` in a thread, and see to it that it ends when it is told to stop."""
    stop = Event()
    thread = Thread(target=target, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def test_a_slice_projects_what_is_there_and_what_comes():
    def run_slice(stop: Event) -> None:
        try:
            advance_all(slice_seconds=DEADLINE_SECONDS, should_stop=stop.is_set)
        finally:
            connection.close()

    first = appended_account()
    with running(run_slice):
        wait_until(lambda: is_projected(first))
        later = appended_account()
        wait_until(lambda: is_projected(later))
    assert_read_models_match([first, later])


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_slice_ends_by_itself(monkeypatch, settings):
    clock = Clock()
    monkeypatch.setattr(runner, "time", clock)
    advance_all(slice_seconds=1.0, should_stop=lambda: clock.seconds > 10)
    assert 1.0 <= clock.seconds < 1.0 + settings.PROJECTION_IDLE_SECONDS


def test_a_projection_that_fails_as_a_whole_does_not_stop_the_others(monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("a defect")

    stream_id = appended_account()
    with monkeypatch.context() as patch:
        patch.setattr(AccountSummaryProjector, "load", broken)
        advance_all(slice_seconds=DEADLINE_SECONDS, should_stop=lambda: statement_has(stream_id))
        assert not is_projected(stream_id)
    failures = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert [entry.getMessage() for entry in failures] == [
        "projection account_summary stopped; the next slice tries again"
    ]
    assert not ProjectionFailure.objects.filter(stream_id=stream_id).exists()
    catch_up()
    assert_read_models_match([stream_id])


def statement_has(stream_id: str) -> bool:
    account_id = stream_id.removeprefix("account-")
    return AccountStatement.objects.filter(account_id=account_id, stream_version=4).exists()


def test_a_runner_outlives_an_outage(caplog):
    before = appended_account()
    with running(lambda stop: run_forever(stop=stop)):
        wait_until(lambda: is_projected(before))
        with outage():
            wait_until(lambda: "projections wait for the database" in caplog.text)
        after = appended_account()
        wait_until(lambda: is_projected(after))
    assert_read_models_match([before, after])
    assert not ProjectionFailure.objects.filter(stream_id__in=[before, after]).exists()


@pytest.fixture
def short_slices(settings):
    settings.PROJECTION_SLICE_SECONDS = 0.2


def test_a_task_projects_and_leaves_no_connection_behind(short_slices):
    stream_id = appended_account()
    tasks.advance_projections()
    assert connection.connection is None
    assert is_projected(stream_id)


def test_the_task_after_an_outage_goes_on(short_slices, caplog):
    stream_id = appended_account()
    with outage():
        tasks.advance_projections()
    assert "projections wait for the database" in caplog.text
    assert not any(entry.exc_info for entry in caplog.records)
    tasks.advance_projections()
    assert is_projected(stream_id)


def test_a_worker_that_shuts_down_ends_its_slice(settings, monkeypatch):
    settings.PROJECTION_SLICE_SECONDS = 10 * DEADLINE_SECONDS
    monkeypatch.setattr(tasks, "_shutting_down", False)
    with running(lambda _: tasks.advance_projections()):
        worker_shutting_down.send(sender="test", sig="TERM", how="Warm", exitcode=0)


def test_lag_counts_the_events_after_each_checkpoint():
    catch_up()
    stream_id = appended_account()
    summary, statement, *others = PROJECTORS
    advance(projector=summary)
    facts = {
        "stream_id": stream_id,
        "version": 1,
        "position": 1,
        "event_id": NewEventFactory.build().event_id,
        "first_failed_at": timezone.now(),
        "last_failed_at": timezone.now(),
    }
    parked_before = {lag.projection: lag.parked_streams for lag in projection_lags()}
    failure = ProjectionFailure.objects.create(projection=statement.name, **facts)
    lags = {lag.projection: lag for lag in projection_lags()}
    failure.delete()

    assert lags.keys() == {summary.name, statement.name, *(other.name for other in others)}
    assert (lags[summary.name].lag_events, lags[statement.name].lag_events) == (0, 4)
    assert lags[statement.name].head - lags[statement.name].position == 4
    assert lags[summary.name].position == ProjectionCheckpoint.objects.get(projection=summary.name).position
    assert lags[summary.name].parked_streams == parked_before[summary.name]
    assert lags[statement.name].parked_streams == parked_before[statement.name] + 1
