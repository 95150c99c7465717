"""manage.py verify: what it says of a bank in which nothing is wrong, how much it takes at a time, and how it ends."""

from django.db import connection

from accounts.handlers import freeze_account
from eventstore.store import event_store
from projections.models import AccountStatement, AccountSummary
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from projections.verification import run, sorted_rows
from projections.verification.differences import Report
from projections.verification.whole_log import fold_transfer
from tests.factories import FreezeAccountFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    account_append,
    append,
    created,
    deposited,
    new_account_id,
    record,
    withdrawn,
)
from tests.integration.projections.damage import DAMAGED_ROWS
from tests.integration.projections.own_database import account_id as account_id
from tests.integration.projections.own_database import as_superuser, assert_found, assert_nothing_differs, verify
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database
from tests.integration.projections.own_database import run as sql
from tests.integration.projections.own_database import stream_id as stream_id
from tests.integration.transfers.settlements import no_settlements
from tests.keyed_account_commands import close, deposit, opened_with
from tests.transfer_books import OPEN, transfer, transfer_id_of
from transfers.domain.commands import ReleaseSuspense, RetryTransfer
from transfers.handlers import release_suspense, resume_transfer, retry_transfer
from transfers.repository import transfer_stream_id


def test_an_empty_bank():
    verified = verify()
    assert_nothing_differs(verified)
    assert verified.out == "0 events in 0 streams: no difference\n"


def test_all_that_can_happen_to_money(settings, account_id):
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0
    settings.SNAPSHOT_EVERY_EVENTS = 2
    source, destination = opened_with(9000), opened_with(0)
    transfer(source, destination, 100)
    transfer(source, destination, 100_000)
    with no_settlements():
        pending = transfer_id_of(transfer(source, destination, 200))
        resume_transfer(transfer_id=pending)
        settings.TRANSFER_MAX_ATTEMPTS = 1
        stuck = transfer_id_of(transfer(source, destination, 300))
        resume_transfer(transfer_id=stuck)
        resume_transfer(transfer_id=stuck)
        refunded = transfer_id_of(transfer(source, destination, 400))
        poor = opened_with(50)
        in_suspense = transfer_id_of(transfer(poor, destination, 50))
    settings.TRANSFER_MAX_ATTEMPTS = 10
    freeze_account(command=FreezeAccountFactory.build(account_id=destination), context=OPEN)
    close(poor)
    for transfer_id in (refunded, in_suspense):
        assert resume_transfer(transfer_id=transfer_id).state == "FAILED"
    assert fold_transfer(stream_id=transfer_stream_id(in_suspense)).failure.refunded_to == "suspense:USD"
    release_suspense(
        command=ReleaseSuspense(transfer_id=in_suspense, account_id=source, reason="its owner asked"), context=OPEN
    )
    catch_up()
    assert sql("SELECT count(*) FROM transfers_in_flight") == [(2,)]
    assert {schema for [schema] in sql("SELECT schema_version FROM snapshots")} == {1, 10_001}
    assert_nothing_differs(verify())

    retry_transfer(command=RetryTransfer(transfer_id=stuck, reason="looked at it"), context=OPEN)
    assert_nothing_differs(verify())


def test_a_read_model_that_lags_is_compared_as_far_as_it_has_come(account_id):
    deposit(account_id, 1)
    assert_nothing_differs(verify())
    AccountSummary.objects.filter(account_id=account_id).update(balance=7)
    assert_found("read_model", account_id, "expected 1300, is 7")


def test_parked_streams_are_told_and_are_no_difference(account_id):
    parked = new_account_id()
    record(created(parked), withdrawn(parked, 5), deposited(parked, 7))
    catch_up()
    verified = verify()
    # The log itself is wrong: this event should never have come in.
    assert verified.checks == {"fold"}
    assert f"parked: account-{parked}: account_summary waits at version 2" in verified.out
    assert verified.out.endswith("; 2 parked streams\n")


def test_streams_that_nobody_folds_have_their_chain(account_id):
    append(StreamAppendFactory.build(stream_id="operations-2026-03-22", number_of_events=3))
    assert_nothing_differs(verify())
    as_superuser("UPDATE events SET data = '{\"number\": -1}' WHERE stream_id LIKE 'operations-%%' AND version = 2")
    assert_found("chain", "operations-2026-03-22: event 2")


def test_a_slice_for_each_stream_and_pages_smaller_than_a_stream(monkeypatch, account_id, stream_id):
    monkeypatch.setattr(run, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(sorted_rows, "PAGE_ROWS", 2)
    assert_nothing_differs(verify())
    for line in (1, 3, 5):
        AccountStatement.objects.filter(account_id=account_id, stream_version=line).delete()
    sql(DAMAGED_ROWS["extra account"], {"a": account_id})
    sql(DAMAGED_ROWS["extra transfer"])
    verified = verify("--repair")
    assert len(verified.differences) == 5
    assert "5 differences (read_model 5), 5 of them mended" in verified.out
    assert_nothing_differs(verify())


def test_how_far_it_is_of_how_much_is_told_as_it_goes(monkeypatch, account_id):
    monkeypatch.setattr(run, "SLICE_SECONDS", 0.0)
    heads: list[int] = []
    taken: list[int] = []
    report = Report(limit=0)
    run.Run(projectors=PROJECTORS, report=report, on_head=heads.append, on_events=taken.append).verify_bank()
    assert report.streams > 1
    assert heads == [event_store().head_position()] == [sum(taken)]


def test_no_more_than_a_page_is_in_memory(monkeypatch):
    """Of a stream of many pages, however its rows differ."""
    monkeypatch.setattr(sorted_rows, "PAGE_ROWS", 10)
    account_id = new_account_id()
    append(account_append(created(account_id), *[deposited(account_id, 1) for _ in range(300)]))
    catch_up()
    AccountStatement.objects.filter(account_id=account_id, stream_version=3).delete()
    held: list[int] = []
    from projections.verification.stream_rows import StreamRows

    compare = StreamRows.end_page

    def watched(self) -> None:
        compare(self)
        held.append(len(self._history) + len(self._expected) + len(self._actual))

    monkeypatch.setattr(StreamRows, "end_page", watched)
    assert len(verify().differences) == 1
    assert len(held) > 2 * 30
    assert max(held) <= 2


def test_one_account_or_one_stream(account_id, stream_id):
    other = opened_with(1)
    AccountSummary.objects.update(balance=0)
    assert [line for line in verify("--account", account_id).differences if account_id not in line] == []
    assert verify("--stream", stream_id).exit_code == 1
    assert verify("--stream", stream_id, "--repair").exit_code == 0
    assert verify("--stream", stream_id).exit_code == 0
    assert verify("--account", other).exit_code == 0
    nobody = verify("--account", "nobody")
    assert (nobody.exit_code, nobody.err) == (2, "nothing is kept of account-nobody")


def test_the_list_has_a_limit_and_the_count_has_none(account_id):
    AccountStatement.objects.update(reason="x")
    lines = AccountStatement.objects.count()
    verified = verify("--limit", "2")
    assert len(verified.differences) == 2
    assert f"… and {lines - 2} more" in verified.out
    assert f"{lines} differences (read_model {lines})" in verified.out
    assert verify("--limit", "-1").exit_code == 2


def test_the_database_is_away(monkeypatch, account_id):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    verified = verify()
    monkeypatch.undo()
    connection.close()
    assert verified.exit_code == 2
    assert "the database is away" in verified.err


def test_an_in_memory_bank_is_told_that_it_needs_postgresql(settings):
    settings.IN_MEMORY = True
    verified = verify()
    assert (verified.exit_code, verified.err) == (2, "verify needs PostgreSQL: an in-memory bank keeps nothing")
