"""export_events and import_events as processes: through a pipe, killed, watched, and where they cannot work."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from eventstore.exceptions import StoreUnavailable
from eventstore.progress_bar import progress_bar
from eventstore.store import event_store
from tests.factories import CommitFactory
from tests.integration.archive.files import documents, export, import_file
from tests.integration.archive.other_banks import bank_like, using
from tests.integration.projections.account_log import account_append, append, created, new_account_id
from tests.journeys.web_server import database_url
from tests.own_bank import PROJECT_DIR, environment
from tests.polling import wait_until
from tests.terminals import everything_shown

ACCOUNTS = 1_500


def command_of(bank: str, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    with using(bank):
        env = environment(DATABASE_URL=database_url(), SECRET_KEY="of-this-test-" * 4)
    return subprocess.Popen([sys.executable, "manage.py", *arguments], cwd=PROJECT_DIR, env=env, **pipes)


def open_accounts(number_of_accounts: int) -> None:
    append(*[account_append(created(new_account_id())) for _ in range(number_of_accounts)])


@pytest.fixture(scope="module")
def old_bank(model_bank, django_db_blocker) -> Iterator[str]:
    """A bank with more events than are imported in one batch."""
    with django_db_blocker.unblock(), bank_like(model_bank) as name:
        with using(name):
            open_accounts(ACCOUNTS)
        yield name


@pytest.fixture
def exported(old_bank, tmp_path) -> Path:
    """The old bank's file."""
    path = tmp_path / "bank.jsonl"
    with using(old_bank):
        export(path)
    return path


def is_waiting_for_its_file(bank: str) -> Callable[[], bool]:
    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'idle in transaction'", [bank]
            )
            return cursor.fetchone() == (1,)

    return is_waiting


def test_killed_half_way_it_leaves_nothing_and_can_be_done_again(exported, new_bank):
    lines = exported.read_bytes().splitlines(keepends=True)
    with command_of(new_bank, "import_events", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"".join(lines[:-100]))
        process.stdin.flush()
        wait_until(is_waiting_for_its_file(new_bank))
        with using(new_bank):
            # Nobody sees half of a log, and nobody writes to one.
            assert event_store().head_position() == 0
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            with pytest.raises(StoreUnavailable):
                event_store().append([CommitFactory.build()])
        process.kill()
        process.communicate()
    with using(new_bank):
        assert import_file(exported).startswith(f"{ACCOUNTS} events and 0 verdicts imported")
        assert event_store().head_position() == ACCOUNTS


def test_one_pipe_from_bank_to_bank(old_bank, new_bank):
    with (
        command_of(old_bank, "export_events", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source,
        command_of(new_bank, "import_events", "-", stdin=source.stdout, stdout=subprocess.PIPE) as target,
    ):
        source.stdout.close()
        assert target.stdout.read().decode().startswith(f"{ACCOUNTS} events and 0 verdicts imported")
        # Standard output is the file alone, and no bar is drawn where nobody watches.
        told = source.stderr.read().decode()
    assert told == f"{ACCOUNTS} events and 0 verdicts exported; the log is at position {ACCOUNTS}\n"
    assert (source.returncode, target.returncode) == (0, 0)


def test_a_reader_that_goes_away(old_bank):
    with command_of(old_bank, "export_events", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read().decode() == "CommandError: - cannot be written: Broken pipe\n"
    assert process.returncode == 1


def test_an_export_that_is_written_to_meanwhile_is_of_the_moment_it_began(new_bank, tmp_path, monkeypatch):
    with using(new_bank):
        open_accounts(3)
        before = export(tmp_path / "before.jsonl")
        read_all = event_store().read_all

        def read_and_write(*, after_position: int, limit: int):
            open_accounts(1)
            return read_all(after_position=after_position, limit=limit)

        monkeypatch.setattr(event_store(), "read_all", read_and_write)
        again = export(tmp_path / "again.jsonl")
    assert documents(again)[1:] == documents(before)[1:]


def test_a_bar_is_drawn_on_a_terminal(monkeypatch):
    watching, terminal = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with open(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress_bar(title="import", unit="lines", total=500) as advance:
            advance(500)
    drawn = everything_shown(watching)
    os.close(watching)
    assert "import" in drawn
    assert "500/500" in drawn


@pytest.mark.parametrize("command", ["export_events", "import_events"])
def test_an_in_memory_bank_keeps_nothing_to_move(command, settings):
    settings.IN_MEMORY = True
    with pytest.raises(CommandError, match=f"{command} needs PostgreSQL: an in-memory bank keeps nothing") as refused:
        call_command(command, "-")
    assert refused.value.returncode == 2


@pytest.mark.parametrize(("file", "said"), [("nowhere", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(file, said):
    with pytest.raises(CommandError, match=f"{file} cannot be read: {said}"):
        call_command("import_events", file)
