"""A bank in a database of its own, whose log a superuser may damage: nobody else is ever troubled by that."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.handlers import freeze_account
from accounts.repository import account_stream_id
from projections.runner import catch_up
from tests.factories import FreezeAccountFactory
from tests.keyed_account_commands import deposit, keyed, opened_with, withdraw
from tests.transfer_books import transfer

TABLES = (
    "events",
    "snapshots",
    "commands",
    "transfers_in_flight",
    "account_summary",
    "account_statement",
    "transfer_status",
    "projection_checkpoints",
    "projection_failures",
    "verified_streams",
    "verification_differences",
    "verification_cycle",
)


@pytest.fixture(scope="session")
def migrated_database(django_db_setup, django_db_blocker) -> Iterator[str]:
    """A new database with all of the bank's tables."""
    name = f"own_{uuid4().hex}"
    with django_db_blocker.unblock():
        run(f"CREATE DATABASE {name}")
        with using(name):
            call_command("migrate", verbosity=0)
        yield name
        run(f"DROP DATABASE {name} WITH (FORCE)")
        connection.close()


@pytest.fixture(scope="module")
def own_database(migrated_database, django_db_blocker) -> Iterator[None]:
    """Let every session of this process use that database, until the module's tests are done."""
    with django_db_blocker.unblock(), using(migrated_database):
        yield


@contextmanager
def using(name: str) -> Iterator[None]:
    """Have all new sessions use another database."""
    shared = connection.settings_dict["NAME"]
    connection.close()
    # The settings that all threads make their connections from.
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = shared


@pytest.fixture(autouse=True)
def empty_bank(own_database, db) -> None:
    """Begin with an empty bank."""
    # For a few rows it takes less time than TRUNCATE.
    as_superuser("; ".join(f"DELETE FROM {table}" for table in TABLES))


def run(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def as_superuser(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
    """Run what the log's triggers refuse, as somebody may who can disable them."""
    with connection.cursor() as cursor:
        for table in ("events", "commands"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        try:
            cursor.execute(statement, parameters)
        finally:
            for table in ("events", "commands"):
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


@dataclass(frozen=True)
class Verified:
    """How `manage.py verify` ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def differences(self) -> list[str]:
        """The lines that tell of differences."""
        return [line for line in self.out.splitlines()[:-1] if not line.startswith(("parked: ", "… and "))]

    @property
    def checks(self) -> set[str]:
        """The checks that found something."""
        return {line.split(":")[0] for line in self.differences}


def verify(*arguments: str) -> Verified:
    """Run `manage.py verify`."""
    out, err = StringIO(), StringIO()
    exit_code = 0
    try:
        call_command("verify", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        exit_code = error.returncode
        err.write(str(error))
    return Verified(exit_code, out.getvalue(), err.getvalue())


@pytest.fixture
def account_id(settings) -> str:
    """An account of five events with a snapshot, among others, and a transfer of others; all of it projected."""
    settings.SNAPSHOT_EVERY_EVENTS = 4
    account_id = opened_with(1000)
    deposit(account_id, 500, keyed())
    withdraw(account_id, 200)
    freeze_account(command=FreezeAccountFactory.build(account_id=account_id), context=keyed())
    transfer(opened_with(700), opened_with(0), 300)
    catch_up()
    return account_id


@pytest.fixture
def stream_id(account_id) -> str:
    """The stream of that account."""
    return account_stream_id(account_id)


def assert_nothing_differs(verified: Verified) -> None:
    assert (verified.exit_code, verified.differences, verified.err) == (0, [], ""), verified


def assert_found(check: str, *texts: str) -> Verified:
    """Run verify and find a difference of `check` that tells `texts`."""
    verified = verify()
    assert verified.exit_code == 1
    found = [line for line in verified.differences if line.startswith(f"{check}: ")]
    assert any(all(text in line for text in texts) for line in found), verified.out
    return verified
