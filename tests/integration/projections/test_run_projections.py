"""manage.py run_projections as a process of its own: killed, restarted, stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings as django_settings
from django.db import connection

from projections.lag import projection_lags
from projections.models import ProjectionCheckpoint
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.own_bank import manage
from tests.polling import DEADLINE_SECONDS, wait_until

EVENTS = 20_000
EVENTS_PER_ACCOUNT = 50


def environment(**variables: str) -> dict[str, str]:
    server = connection.settings_dict
    address = f"postgres://{server['USER']}:{server['PASSWORD']}@{server['HOST']}:{server['PORT']}/{server['NAME']}"
    return os.environ | {"DATABASE_URL": address} | variables


@contextmanager
def run_projections(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "manage.py", "run_projections", *arguments]
    process = subprocess.Popen(command, cwd=django_settings.BASE_DIR, env=environment(**variables))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def checkpoints() -> dict[str, int]:
    return dict(ProjectionCheckpoint.objects.values_list("projection", "position"))


def all_caught_up() -> bool:
    return not any(lag.lag_events for lag in projection_lags())


def test_killed_in_the_middle_of_catching_up_and_started_again_it_projects_each_event_once():
    catch_up()
    start = checkpoints()
    streams = [busy_account(EVENTS_PER_ACCOUNT) for _ in range(EVENTS // EVENTS_PER_ACCOUNT)]
    for first in range(0, len(streams), 40):
        append(*streams[first : first + 40])
    names = [projector.name for projector in PROJECTORS]

    with run_projections(PROJECTION_BATCH_EVENTS="100") as process:
        wait_until(lambda: all(checkpoints()[name] > start[name] for name in names))
        process.send_signal(signal.SIGKILL)
        assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
    killed_at = checkpoints()
    for name in names:
        assert start[name] < killed_at[name] < start[name] + EVENTS

    caught_up = manage("run_projections", "--once", env=environment())
    assert caught_up.returncode == 0, caught_up.stderr
    for name in names:
        assert f"{name}: at position {start[name] + EVENTS}," in caught_up.stdout
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
