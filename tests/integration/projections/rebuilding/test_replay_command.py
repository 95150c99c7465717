"""manage.py replay: what it prints, how it is interrupted and killed, and that a dry run changes nothing."""

import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django.db.models import Sum

from projections.management.commands import replay
from projections.models import AccountSummary, ProjectionCheckpoint, RebuildPart
from projections.runner import catch_up
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account, new_account_id
from tests.integration.projections.busy_log import (
    Writer,
    assert_all_is_projected,
    assert_rows_are_what_the_checkpoints_say,
    checkpoints,
    has_moved,
)
from tests.integration.projections.rebuilding.catalogue import definition_of, identity_of, shadows
from tests.integration.projections.test_run_projections import environment, run_projections
from tests.own_bank import PROJECT_DIR, manage
from tests.polling import wait_until
from tests.terminals import everything_shown

TABLES = ("account_summary", "account_statement", "transfer_status")


def replayed(*arguments: str, **options) -> str:
    printed = StringIO()
    call_command("replay", *arguments, **options, stdout=printed)
    return printed.getvalue()


@pytest.fixture
def accounts() -> list[str]:
    """Return the streams of some accounts, projected."""
    streams = [busy_account(9) for _ in range(4)]
    append(*streams)
    catch_up()
    return [stream.stream_id for stream in streams]


def account_id_of(stream_id: str) -> str:
    return stream_id.removeprefix("account-")


def test_all_projections_are_rebuilt(accounts):
    before = [identity_of(table) for table in TABLES]
    printed = replayed()
    for table in TABLES:
        assert re.search(rf"^{table}: rebuilt from \d+ events, \d+ streams parked$", printed, re.MULTILINE)
        assert f"{table}: copying, 0 of " in printed
    assert all(now != then for now, then in zip([identity_of(table) for table in TABLES], before, strict=True))
    assert_read_models_match(accounts)


def test_one_projection_is_rebuilt_and_its_old_table_kept(accounts):
    before = {table: identity_of(table) for table in TABLES}
    assert "the table of before is replaced.account_summary" in replayed("account_summary", keep=True)
    assert identity_of("replaced.account_summary") == before["account_summary"]
    assert identity_of("account_statement") == before["account_statement"]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE replaced.account_summary")


def test_a_dry_run_tells_what_would_be_different_and_changes_nothing(accounts):
    lost, changed, unknown = account_id_of(accounts[0]), account_id_of(accounts[1]), new_account_id()
    AccountSummary.objects.filter(account_id=lost).delete()
    AccountSummary.objects.filter(account_id=changed).update(balance=1, owner_id="somebody else")
    invented = AccountSummary.objects.get(account_id=account_id_of(accounts[2]))
    invented.account_id = unknown
    invented.save(force_insert=True)
    before, rows = definition_of("account_summary"), sorted(AccountSummary.objects.values_list())
    table, checkpoints = identity_of("account_summary"), sorted(ProjectionCheckpoint.objects.values_list())

    printed = StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("replay", "account_summary", dry_run=True, stdout=printed)
    told = printed.getvalue()
    assert "1 rows are missing, 1 should not be there, 1 would be different" in told
    assert re.search(rf"^  {lost}: no row would be .*'{lost}'", told, re.MULTILINE)
    assert re.search(
        rf"^  {changed}: owner_id='somebody else', balance=1 would be owner_id='user-1'", told, re.MULTILINE
    )
    assert re.search(rf"^  {unknown}: .* would be no row$", told, re.MULTILINE)

    assert definition_of("account_summary") == before
    assert sorted(AccountSummary.objects.values_list()) == rows
    assert identity_of("account_summary") == table
    assert sorted(ProjectionCheckpoint.objects.values_list()) == checkpoints
    assert shadows() == []
    replayed("account_summary")
    assert "0 rows are missing, 0 should not be there, 0 would be different" in replayed(
        "account_summary", dry_run=True
    )
    assert_read_models_match(accounts)


def test_what_is_not_projected_yet_is_no_difference(accounts):
    append(busy_account(5))
    told = replayed("account_statement", dry_run=True)
    assert "0 rows are missing, 0 should not be there, 0 would be different" in told


def test_an_unknown_projection_is_said_to_be_none():
    with pytest.raises(CommandError, match="there is no projection 'accounts'; there are account_summary, "):
        replayed("accounts")


def test_an_in_memory_bank_says_that_it_needs_postgresql():
    answer = manage("replay", env=environment() | {"EVENT_STORE_KIND": "in-memory"})
    assert answer.returncode == 2
    assert answer.stderr.strip().startswith("CommandError: replay needs PostgreSQL")


@contextmanager
def replaying(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "manage.py", "replay", *arguments],
        cwd=PROJECT_DIR,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def is_under_way(projection: str) -> bool:
    return events_done(projection) > 0


def events_done(projection: str) -> int:
    parts = RebuildPart.objects.filter(rebuild=projection)
    return int(parts.aggregate(done=Sum("events_done"))["done"] or 0)


def test_interrupted_it_says_so_and_goes_on_from_there(accounts):
    with replaying("account_statement", REBUILD_BATCH_EVENTS="1", REBUILD_PROCESSES="1") as process:
        wait_until(lambda: is_under_way("account_statement"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "Stopped. Nothing is lost: run it again to go on from there.\n")
    done = events_done("account_statement")
    assert f"account_statement: copying, {done} of " in replayed("account_statement")
    assert_read_models_match(accounts)


def test_interrupted_amid_a_statement_it_says_so_too(monkeypatch, capsys):
    """Its connection can then not even roll back."""

    def interrupted(**_: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise ProgrammingError("connection in transaction status ACTIVE")

    monkeypatch.setattr(replay, "rebuild_projection", interrupted)
    with pytest.raises(SystemExit) as stopped:
        call_command("replay", "account_summary")
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "Stopped. Nothing is lost: run it again to go on from there.\n"


def test_a_terminal_gets_a_bar_with_rate_and_time_left(accounts):
    terminal, end = pty.openpty()
    environ = environment(REBUILD_BATCH_EVENTS="5", REBUILD_PROCESSES="1", TERM="xterm", COLUMNS="120")
    command = [sys.executable, "manage.py", "replay", "account_statement"]
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=environ, stdout=end, stderr=end):
        os.close(end)
        shown = everything_shown(terminal)
    assert "account_statement: copying" in shown
    assert re.search(r"[\d,]+ events/s", shown)
    assert re.search(r"\d:\d\d:\d\d", shown)
    assert "account_statement: rebuilt from" in shown


def kill_at_random(*, rounds: int, seed: int) -> None:
    """Kill rebuilds, and the projection beside them, at any moment; the read models are always the fold."""
    dice = random.Random(seed)
    catch_up()
    writer = Writer(seed)
    definitions = [definition_of(table) for table in TABLES]
    for _ in range(rounds):
        projection = dice.choice(TABLES)
        batch = {"REBUILD_BATCH_EVENTS": str(dice.choice([3, 50, 5_000]))}
        before = checkpoints()
        with writer.writing(), run_projections():
            wait_until(partial(has_moved, before))
            with replaying(projection, **batch) as process:
                kill_somewhere(dice, projection, process)
        assert [definition_of(table) for table in TABLES] == definitions
        assert_rows_are_what_the_checkpoints_say(writer)
    replayed()
    catch_up()
    assert [definition_of(table) for table in TABLES] == definitions
    assert shadows() == []
    assert_all_is_projected(writer)


def kill_somewhere(dice: random.Random, projection: str, process: subprocess.Popen[str]) -> None:
    """Kill the process in a phase chosen by lot, a moment after it says that it is in it: whatever comes first then."""
    phase = dice.choice(["copying", "making indexes", "catching up", "swapping", "rebuilt"])
    for line in process.stdout:
        if phase in line:
            break
    if phase == "copying":
        wait_until(lambda: is_under_way(projection) or process.poll() is not None)
    # Any moment is as good as another.
    time.sleep(dice.uniform(0, 0.05))
    process.kill()


@pytest.mark.timeout(120)
def test_killed_at_any_moment_the_read_models_are_the_fold():
    kill_at_random(rounds=3, seed=uuid4().int)


@pytest.mark.heavy
@pytest.mark.timeout(1_800)
def test_killed_fifty_times_at_any_moment_the_read_models_are_the_fold():
    kill_at_random(rounds=50, seed=4711)
