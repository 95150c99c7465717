"""A rebuild from the first event: every row and all that the table is come back, whatever happened on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil
import pytest
from django.db import connection, models, transaction
from django.db.utils import DatabaseError

from eventstore.records import StreamAppend
from eventstore.store import event_store
from projections.models import AccountStatement, AccountSummary, ProjectionRebuild, RebuildPart
from projections.projectors import PROJECTORS
from projections.rebuilding import rebuild as rebuilding
from projections.rebuilding.exceptions import PartProcessDied, RebuildStopped, RebuildUnderWay, ShadowOutdated
from projections.rebuilding.parts import events_done
from projections.rebuilding.rebuild import Phase, RebuildProgress, rebuild_projection
from projections.runner import catch_up
from projections.streams import rebuild_stream
from tests.integration.eventstore.log_copies import raw_connection
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.rebuilding.catalogue import definition_of, identity_of, shadows
from tests.integration.projections.rebuilding.own_totals import totals as totals
from tests.integration.projections.rebuilding.own_totals import totals_table as totals_table
from tests.integration.projections.totals import ThingTotal


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def some_role() -> Iterator[str]:
    role = f"role_{uuid4().hex}"
    execute(f"CREATE ROLE {role}")
    try:
        yield role
    finally:
        execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def stops_after(batches: int) -> Callable[[], bool]:
    """Let a rebuild work on so many batches."""
    looks = iter(range(batches))
    return lambda: next(looks, None) is None


@pytest.mark.parametrize("projector", PROJECTORS, ids=lambda projector: projector.name)
def test_the_new_table_is_what_the_old_one_was_and_its_rows_are_the_fold(projector):
    streams = [busy_account(7) for _ in range(3)]
    append(*streams)
    catch_up()
    table = projector.model._meta.db_table
    with some_role() as role:
        execute(
            f"GRANT SELECT, UPDATE ON {table} TO {role}",
            f"GRANT DELETE ON {table} TO PUBLIC",
            f"ALTER TABLE {table} SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.3)",
            f"COMMENT ON TABLE {table} IS 'it''s a read model'",
            f"COMMENT ON INDEX {table}_pkey IS 'the key'",
            f"CREATE INDEX of_the_staff ON {table} (currency) WHERE currency <> 'USD'",
        )
        before, old = definition_of(table), identity_of(table)
        try:
            rebuild_projection(projector=projector)
            assert definition_of(table) == before
            assert identity_of(table) != old
        finally:
            execute(
                f"REVOKE DELETE ON {table} FROM PUBLIC",
                f"ALTER TABLE {table} RESET (fillfactor, autovacuum_vacuum_scale_factor)",
                f"COMMENT ON TABLE {table} IS NULL",
                f"COMMENT ON INDEX {table}_pkey IS NULL",
                "DROP INDEX of_the_staff",
            )
    assert_read_models_match([stream.stream_id for stream in streams])
    assert shadows() == []
    assert not ProjectionRebuild.objects.filter(projection=projector.name).exists()


def test_migrations_find_what_they_alter_after_a_swap():
    [summary, statement, _] = PROJECTORS
    for projector in (summary, statement):
        rebuild_projection(projector=projector)
    with transaction.atomic():
        with connection.schema_editor(atomic=False) as editor:
            owner = AccountSummary._meta.indexes[0]
            editor.remove_index(AccountSummary, owner)
            editor.add_index(AccountSummary, models.Index(fields=["owner_id"], name=owner.name))
            editor.rename_index(AccountSummary, AccountSummary._meta.indexes[1], models.Index("client_id", name="new"))
            for constraint in AccountStatement._meta.constraints:
                editor.remove_constraint(AccountStatement, constraint)
                editor.add_constraint(AccountStatement, constraint)
            wider = models.TextField(db_index=True)
            wider.set_attributes_from_name("currency")
            editor.alter_field(AccountSummary, AccountSummary._meta.get_field("currency"), wider)
        names = {name for name, _ in definition_of("account_summary")["indexes"]}
        assert {owner.name, "new"} <= names
        assert "account_summary_client" not in names
        transaction.set_rollback(True)


def test_numbers_that_the_table_gives_are_its_own_after_a_swap(totals):
    stream = totals.numbers(1, 2)
    with some_role() as role:
        execute(
            "ALTER TABLE thing_totals ADD COLUMN number bigint GENERATED BY DEFAULT AS IDENTITY",
            f"GRANT USAGE ON SEQUENCE thing_totals_number_seq TO {role}",
            f"GRANT SELECT (thing_id, total) ON thing_totals TO {role}",
        )
        before = definition_of("thing_totals")
        rebuild_projection(projector=totals)
        assert definition_of("thing_totals") == before
        assert [name for name, *_ in before["sequences"]] == ["thing_totals_number_seq"]
    assert totals.totals(stream) == [(2, 3)]
    rebuild_projection(projector=totals)

    execute("ALTER TABLE thing_totals ADD COLUMN serial bigserial")
    with pytest.raises(DatabaseError, match="sequence thing_totals_serial_seq"):
        rebuild_projection(projector=totals)


def test_rows_that_are_wrong_or_missing_or_nobodys_are_made_right(totals):
    kept, changed, lost = totals.numbers(1, 2), totals.numbers(3), totals.numbers(4, 5, 6)
    totals.catch_up()
    ThingTotal.objects.filter(total=3).update(total=1_000)
    ThingTotal.objects.filter(total=15).delete()
    ThingTotal.objects.create(thing_id="nobody's", version=1, total=1)
    rebuild_projection(projector=totals)
    assert totals.totals(kept, changed, lost) == [(2, 3), (1, 3), (3, 15)]
    assert ThingTotal.objects.count() == 3


@pytest.mark.parametrize("batch_events", [1, 3, 7])
def test_streams_longer_than_a_batch_and_events_that_come_meanwhile(totals, settings, batch_events):
    settings.REBUILD_BATCH_EVENTS = settings.PROJECTION_BATCH_EVENTS = batch_events
    streams = [totals.numbers(*range(length)) for length in (1, 20, 2, 3, 11)]
    latest: list[StreamAppend] = []

    def go_on(told: RebuildProgress) -> None:
        if told.phase == Phase.INDEXING and not latest:
            latest.append(totals.numbers(100, after=streams[1]))
            latest.append(totals.numbers(7))

    rebuild_projection(projector=totals, listener=go_on)
    expected = [(length, sum(range(length))) for length in (1, 20, 2, 3, 11)]
    expected[1] = (21, expected[1][1] + 100)
    assert totals.totals(*streams, latest[1]) == [*expected, (1, 7)]
    assert totals.position() == event_store().head_position()


def test_a_rebuild_that_was_stopped_is_gone_on_with(totals, settings):
    settings.REBUILD_BATCH_EVENTS = 3
    streams = [totals.numbers(*range(1, 6)) for _ in range(4)]
    totals.catch_up()
    table = identity_of("thing_totals")
    for batches in (3, 0, 2):
        with pytest.raises(RebuildStopped):
            rebuild_projection(projector=totals, should_stop=stops_after(batches))
        assert identity_of("thing_totals") == table
    assert events_done(rebuild=ProjectionRebuild.objects.get(projection=totals.name)) == 15

    told: list[RebuildProgress] = []
    rebuild_projection(projector=totals, listener=told.append)
    assert (told[0].events_done, told[0].events_total) == (15, 20)
    assert totals.totals(*streams) == [(5, 15)] * 4


def test_several_processes_fill_it_and_are_gone_on_with(totals, settings):
    settings.REBUILD_BATCH_EVENTS, settings.REBUILD_PROCESSES = 3, 2
    totals.indigestible = {13}
    lengths = [1, 2, 90, 3, 40, 5, *range(1, 12)]
    streams = [totals.numbers(*range(100, 100 + length)) for length in lengths]
    poisoned = totals.numbers(1, 13, 2)
    with pytest.raises(RebuildStopped):
        rebuild_projection(projector=totals, should_stop=lambda: bool(RebuildPart.objects.filter(events_done__gt=5)))
    assert len(RebuildPart.objects.filter(rebuild=totals.name)) > 2

    told: list[RebuildProgress] = []
    rebuild_projection(projector=totals, listener=told.append)
    assert 0 < told[0].events_done <= told[0].events_total == sum(lengths) + 3
    assert totals.totals(*streams, poisoned) == [
        *((length, sum(range(100, 100 + length))) for length in lengths),
        (1, 1),
    ]
    assert totals.parked().keys() == {poisoned.stream_id}
    assert not RebuildPart.objects.filter(rebuild=totals.name).exists()


def test_a_process_that_is_killed_stops_the_rebuild_and_the_next_goes_on(totals, settings):
    settings.REBUILD_BATCH_EVENTS, settings.REBUILD_PROCESSES = 1, 2
    streams = [totals.numbers(*range(30)) for _ in range(4)]

    def kill_one() -> bool:
        for child in psutil.Process().children():
            if any("spawn_main" in argument for argument in child.cmdline()):
                child.kill()
                break
        return False

    with pytest.raises(PartProcessDied, match="died"):
        rebuild_projection(projector=totals, should_stop=kill_one)
    rebuild_projection(projector=totals)
    assert totals.totals(*streams) == [(30, sum(range(30)))] * 4


def test_processes_of_a_killed_rebuild_are_waited_for(totals):
    with raw_connection() as other:
        other.execute("SELECT pg_advisory_lock_shared(4711003, hashtext(%s))", [totals.name])
        with pytest.raises(RebuildUnderWay):
            rebuild_projection(projector=totals, patience_seconds=0.3)
    rebuild_projection(projector=totals)


def test_what_another_release_has_filled_is_filled_anew(totals, settings, monkeypatch):
    settings.REBUILD_BATCH_EVENTS = 3
    stream = totals.numbers(*range(1, 6))
    with monkeypatch.context() as patched:
        patched.setattr(rebuilding, "release", lambda: "another")
        with pytest.raises(RebuildStopped):
            rebuild_projection(projector=totals, should_stop=stops_after(1))
    told: list[RebuildProgress] = []
    rebuild_projection(projector=totals, listener=told.append)
    assert told[0].events_done == 0
    assert totals.totals(stream) == [(5, 15)]


def test_a_poison_event_parks_its_stream_alone(totals, settings):
    settings.REBUILD_BATCH_EVENTS = 3
    totals.indigestible, totals.refused_totals = {13}, {60}
    good = [totals.numbers(1, 2, 3, 4) for _ in range(3)]
    poisoned = totals.numbers(1, 2, 13, 4, 5, 6)
    refused = totals.numbers(10, 20, 30)

    rebuilt = rebuild_projection(projector=totals)
    assert rebuilt.parked_streams == 2
    assert totals.totals(*good, poisoned, refused) == [(4, 10)] * 3 + [(2, 3), (2, 30)]
    parked = totals.parked()
    assert parked.keys() == {poisoned.stream_id, refused.stream_id}
    assert (parked[poisoned.stream_id].version, parked[poisoned.stream_id].error) == (3, "KeyError: 13")
    assert parked[refused.stream_id].version == 3
    assert parked[refused.stream_id].error.startswith("IntegrityError: ")


def test_parked_streams_are_those_of_the_new_rows(totals):
    totals.indigestible = {2, 3}
    healed, still = totals.numbers(1, 2, 3), totals.numbers(3)
    totals.catch_up()
    before = totals.parked()
    totals.indigestible = {3}
    rebuild_projection(projector=totals)

    after = totals.parked()
    assert totals.totals(healed) == [(2, 3)]
    assert {stream_id: failure.version for stream_id, failure in after.items()} == {
        healed.stream_id: 3,
        still.stream_id: 1,
    }
    assert after[still.stream_id].attempts == 2
    assert after[still.stream_id].first_failed_at == before[still.stream_id].first_failed_at
    totals.indigestible = set()
    rebuild_projection(projector=totals)
    assert totals.parked() == {}
    assert totals.totals(healed, still) == [(3, 6), (1, 3)]


def test_a_stream_that_is_repaired_meanwhile(totals):
    stream = totals.numbers(1, 2)
    totals.catch_up()
    ThingTotal.objects.update(total=1_000)

    def repair(told: RebuildProgress) -> None:
        if told.phase == Phase.CATCHING_UP:
            assert rebuild_stream(projector=totals, stream_id=stream.stream_id).error is None
            assert totals.totals(stream) == [(2, 3)]

    rebuild_projection(projector=totals, listener=repair)
    assert totals.totals(stream) == [(2, 3)]
    assert totals.parked() == {}


def test_only_one_process_rebuilds_a_projection(totals):
    with raw_connection() as other:
        other.execute("SELECT pg_advisory_lock(4711002, hashtext(%s))", [totals.name])
        with pytest.raises(RebuildUnderWay):
            rebuild_projection(projector=totals, patience_seconds=0.3)
    rebuild_projection(projector=totals)


def test_a_table_that_a_migration_changed_meanwhile_is_not_replaced_by_what_it_was(totals):
    stream = totals.numbers(1, 2)

    def migrate(told: RebuildProgress) -> None:
        if told.phase == Phase.SWAPPING:
            execute("CREATE INDEX later ON thing_totals (total)")

    with pytest.raises(ShadowOutdated, match="later"):
        rebuild_projection(projector=totals, listener=migrate)
    rebuild_projection(projector=totals)
    assert totals.totals(stream) == [(2, 3)]
    assert "later" in {name for name, _ in definition_of("thing_totals")["indexes"]}


def test_what_would_be_lost_stops_a_rebuild_at_once(totals):
    execute(
        "CREATE VIEW of_the_staff AS SELECT thing_id FROM thing_totals",
        "CREATE TRIGGER their_trigger BEFORE TRUNCATE ON thing_totals EXECUTE FUNCTION refuse_change()",
    )
    try:
        with pytest.raises(DatabaseError, match="trigger their_trigger"):
            rebuild_projection(projector=totals)
    finally:
        execute("DROP TRIGGER their_trigger ON thing_totals")
    try:
        with pytest.raises(DatabaseError, match="of_the_staff"):
            rebuild_projection(projector=totals)
    finally:
        execute("DROP VIEW of_the_staff")
    rebuild_projection(projector=totals)


def test_the_table_of_before_is_kept_if_somebody_wants_it(totals):
    totals.numbers(1, 2)
    totals.catch_up()
    for wrong in (1_000, 2_000):
        ThingTotal.objects.update(total=wrong)
        rebuild_projection(projector=totals, keep=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT total FROM replaced.thing_totals EXCEPT SELECT total FROM thing_totals")
            assert cursor.fetchall() == [(wrong,)]
    rebuild_projection(projector=totals)


def test_the_application_role_rebuilds_and_owns_nothing(totals):
    stream = totals.numbers(1, 2)
    from bank.migration_guards import _grants

    with some_role() as role:
        with connection.cursor() as cursor:
            for grant in _grants(role):
                cursor.execute(grant)
        before = definition_of("thing_totals")
        execute(f"SET ROLE {role}")
        rebuild_projection(projector=totals, keep=True)
        assert definition_of("thing_totals") == before
        assert totals.totals(stream) == [(2, 3)]
        execute(f"SET ROLE {role}")
        for beyond in ("events", "auth_user", "read_models"):
            with pytest.raises(DatabaseError, match="is no read model"):
                execute(f"SELECT make_shadow('{beyond}', true)")
        with pytest.raises(DatabaseError, match="permission denied"):
            execute("INSERT INTO read_models VALUES ('events', 'events')")
        execute("RESET ROLE", "DROP TABLE replaced.thing_totals")
