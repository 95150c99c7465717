"""What projects as a process of its own, manage.py run_projections or a Celery worker: killed, restarted, stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pytest
from celery import Celery
from django.conf import settings

from projections.lag import projection_lags
from projections.models import ProjectionCheckpoint
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.journeys.web_server import database_url
from tests.own_bank import PROJECT_DIR, manage
from tests.polling import DEADLINE_SECONDS, wait_until

EVENTS = 6_000
EVENTS_PER_ACCOUNT = 50
CATCH_UP_SECONDS = 60.0


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {"DATABASE_URL": database_url()} | variables


@contextmanager
def running(*command: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *command], cwd=PROJECT_DIR, env=environment(**variables))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_projections(**variables: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return running("manage.py", "run_projections", **variables)


@contextmanager
def celery_worker(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a projection worker in whose queue one tick of beat waits."""
    slices = {"PROJECTION_SLICE_SECONDS": str(CATCH_UP_SECONDS)}
    with worker_with(task="projections.advance", threads=1, **slices, **variables) as process:
        yield process


@contextmanager
def worker_with(*, task: str, threads: int, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery worker as production has it, with a queue of its own in which one message waits, that of `task`."""
    queue = str(uuid4())
    with Celery(broker=settings.CELERY_BROKER_URL, set_as_current=False) as beat:
        beat.send_task(task, queue=queue)
    pool = ("--pool", "threads", "--concurrency", str(threads), "--queues", queue)
    with running("-m", "celery", "-A", "bank.celery:app", "worker", *pool, **variables) as process:
        yield process


def checkpoints() -> dict[str, int]:
    return dict(ProjectionCheckpoint.objects.values_list("projection", "position"))


def all_caught_up() -> bool:
    return not any(lag.lag_events for lag in projection_lags())


@pytest.mark.parametrize("runner", [run_projections, celery_worker])
def test_killed_in_the_middle_of_catching_up_and_started_again_it_projects_each_event_once(runner):
    catch_up()
    start = checkpoints()
    streams = [busy_account(EVENTS_PER_ACCOUNT) for _ in range(EVENTS // EVENTS_PER_ACCOUNT)]
    for first in range(0, len(streams), 40):
        append(*streams[first : first + 40])
    names = [projector.name for projector in PROJECTORS]

    with runner(PROJECTION_BATCH_EVENTS="20") as process:
        wait_until(lambda: all(checkpoints()[name] > start[name] for name in names))
        process.send_signal(signal.SIGKILL)
        assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
    killed_at = checkpoints()
    for name in names:
        assert start[name] < killed_at[name] < start[name] + EVENTS

    with runner():
        wait_until(all_caught_up, deadline_seconds=CATCH_UP_SECONDS)
    assert [checkpoints()[name] for name in names] == [start[name] + EVENTS for name in names]
    assert_read_models_match([stream.stream_id for stream in streams])


def test_it_projects_what_comes_until_it_is_told_to_stop():
    stream = busy_account(5)
    with run_projections() as process:
        append(stream)
        wait_until(all_caught_up)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    assert_read_models_match([stream.stream_id])


def test_once_it_projects_what_is_there_and_says_how_far_it_came():
    stream = busy_account(5)
    append(stream)
    caught_up = manage("run_projections", "--once", env=environment())
    assert caught_up.returncode == 0, caught_up.stderr
    reached = checkpoints()
    for projector in PROJECTORS:
        assert f"{projector.name}: at position {reached[projector.name]}," in caught_up.stdout
    assert_read_models_match([stream.stream_id])


def test_with_the_database_away_once_says_so_in_one_line():
    answer = manage(
        "run_projections", "--once", env=environment() | {"DATABASE_URL": "postgres://bank@127.0.0.1:1/bank"}
    )
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("CommandError: the database is away: ")


def test_an_in_memory_bank_has_nothing_for_another_process_to_project():
    answer = manage("run_projections", env=environment() | {"EVENT_STORE_KIND": "in-memory"})
    assert answer.returncode == 2
    assert answer.stderr.strip().startswith("CommandError: run_projections needs PostgreSQL")
