"""What the database itself holds those to who import, and who they are."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError
from django.db import DatabaseError, connection, transaction

from bank.migration_guards import after_migrate
from eventstore.archive.rows import write_commands, write_events
from eventstore.records import CommandKey, CommandRecord, RecordedEvent
from eventstore.store import event_store
from tests.factories import NOON
from tests.integration.archive.files import export, import_file
from tests.integration.archive.other_banks import bank_like, using

FIRST = RecordedEvent(
    event_id=uuid4(),
    stream_id="thing-1",
    version=1,
    position=1,
    event_type="ThingHappened",
    schema_version=1,
    data={"number": 1},
    metadata={},
    occurred_at=NOON,
    recorded_at=NOON,
    hash=bytes(32),
)
SECOND = FIRST._replace(event_id=uuid4(), version=2, position=2, hash=bytes([1]) * 32)


@pytest.fixture(scope="module")
def begun_bank(model_bank, django_db_blocker) -> Iterator[str]:
    """A bank with one event, to which nothing else gets."""
    with django_db_blocker.unblock(), bank_like(model_bank) as name:
        with using(name):
            write_events([FIRST], previous_hashes=[b""])
        yield name


@pytest.fixture
def bank(begun_bank) -> Iterator[None]:
    with using(begun_bank):
        yield
        assert event_store().head_position() == 1


def refused_state(*events: RecordedEvent, previous_hashes: list[bytes]) -> str:
    with pytest.raises(DatabaseError) as refused:
        write_events(events, previous_hashes=previous_hashes)
    assert isinstance(refused.value.__cause__, psycopg.Error)
    return refused.value.__cause__.sqlstate or ""


def test_events_that_follow_are_written(new_bank):
    with using(new_bank):
        write_events([FIRST, SECOND], previous_hashes=[b"", FIRST.hash])
        assert event_store().read_all(after_position=0, limit=10) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("changes", "previous_hash"),
    [
        ({"position": 1}, FIRST.hash),
        ({"position": 3}, FIRST.hash),
        ({}, b""),
        ({}, bytes([2]) * 32),
        ({}, None),
        ({"version": 3}, b""),
        ({"version": 3}, FIRST.hash),
        ({"stream_id": "thing-2"}, b""),
        ({"stream_id": "thing-2", "version": 1}, FIRST.hash),
        ({"occurred_at": NOON.replace(hour=11)}, FIRST.hash),
    ],
)
def test_events_that_do_not_follow_are_refused(bank, changes: dict[str, Any], previous_hash):
    assert refused_state(SECOND._replace(**changes), previous_hashes=[previous_hash]) == "BK005"


def test_an_event_that_comes_before_its_predecessor_is_refused(bank):
    third = SECOND._replace(position=2, version=3, hash=bytes([3]) * 32)
    second = SECOND._replace(position=3)
    assert refused_state(third, second, previous_hashes=[second.hash, FIRST.hash]) == "BK005"


def test_the_same_version_again_is_refused(bank):
    assert refused_state(FIRST._replace(position=2), previous_hashes=[b""]) == "23505"


def test_no_isolation_level_but_read_committed(bank):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert refused_state(SECOND, previous_hashes=[FIRST.hash]) == "BK002"
        transaction.set_rollback(True)


@pytest.fixture
def app_role(begun_bank, settings) -> Iterator[str]:
    """A role that has the application's rights."""
    role = f"app_{uuid4().hex}"
    with using(begun_bank), connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        settings.DB_APP_ROLE = role
        after_migrate(using="default")
        yield role
        cursor.execute("RESET ROLE")
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


def test_the_application_role_can_export_and_not_import(bank, app_role, tmp_path):
    verdict = CommandRecord(
        key=CommandKey("open", "1"),
        fingerprint="f",
        result={},
        refused=False,
        first_position=None,
        last_position=None,
        recorded_at=NOON,
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {app_role}")
    assert refused_state(SECOND, previous_hashes=[FIRST.hash]) == "42501"
    with pytest.raises(DatabaseError, match="permission denied for table commands"):
        write_commands([verdict])
    assert export(tmp_path / "bank.jsonl").count(b'"kind":"event"') == 1


def test_who_may_not_import_is_told_who_may(bank, app_role, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        f'{{"event_id":"{uuid4()}","stream_id":"account-1","version":1,"event_type":"AccountCreated",'
        '"payload":{"ownerId":"user-1","currency":"USD"},"occurred_at":"2026-03-22T10:00:00Z"}\n'
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {app_role}")
    with pytest.raises(CommandError, match="only the owner of the log may"):
        import_file(rows)
