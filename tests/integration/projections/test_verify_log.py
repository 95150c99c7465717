"""A verification of the log: whatever a superuser does to it is found, also when all read models are made anew."""

from contextlib import suppress

import pytest
from django.db import connection
from psycopg import DataError

from accounts.repository import account_stream_id
from eventstore.chain import event_hash
from eventstore.store import event_store
from projections.models import AccountSummary
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from projections.streams import rebuild_stream
from projections.verification import whole_log
from tests.integration.projections.account_log import (
    created,
    deposited,
    new_account_id,
    record,
    withdrawn,
)
from tests.integration.projections.damage import TAMPERING
from tests.integration.projections.own_database import account_id as account_id
from tests.integration.projections.own_database import (
    as_superuser,
    assert_found,
    assert_nothing_differs,
    verify,
)
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database
from tests.integration.projections.own_database import run as sql
from tests.integration.projections.own_database import stream_id as stream_id
from tests.keyed_account_commands import deposit, keyed, opened_with
from tests.transfer_books import transfer, transfer_id_of


def rebuild_everything() -> None:
    """Make the read models anew from the log as it now is."""
    for projector in PROJECTORS:
        for [one] in sql("SELECT DISTINCT stream_id FROM events"):
            if one.startswith(projector.stream_prefix):
                rebuild_stream(projector=projector, stream_id=one)


def make_chain_anew(stream_id: str) -> None:
    """Hash a stream's events again, as whoever knows how could."""
    link = b""
    for event in event_store().read_stream(stream_id, limit=100):
        link = event_hash(previous_hash=link, stream_id=stream_id, version=event.version, event=event)
        as_superuser("UPDATE events SET hash = %s WHERE position = %s", [link, event.position])


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING)
def test_an_event_that_was_altered_is_found_also_after_a_rebuild(stream_id, statement):
    as_superuser(statement, {"s": stream_id})
    assert_found("chain", stream_id)
    # What Python cannot even read cannot be projected anew either.
    with suppress(DataError, ValueError):
        rebuild_everything()
    assert_found("chain", stream_id)


def test_one_altered_event_is_one_difference_of_the_chain(stream_id):
    as_superuser(TAMPERING["reason"], {"s": stream_id})
    rebuild_everything()
    assert len(verify().differences) == 1


def test_an_altered_event_whose_chain_was_made_anew_is_found_if_it_was_seen_before(stream_id):
    assert_nothing_differs(verify())
    as_superuser(TAMPERING["reason"], {"s": stream_id})
    make_chain_anew(stream_id)
    rebuild_everything()
    assert_found("chain", f"{stream_id}: event 5, hash found sound before")


@pytest.mark.parametrize("which", [1, 3, 5])
def test_an_event_that_was_removed_is_found_also_after_a_rebuild(stream_id, which):
    as_superuser("DELETE FROM events WHERE stream_id = %s AND version = %s", [stream_id, which])
    for _ in range(2):
        verified = assert_found("positions", "events: expected 1, is none")
        if which < 5:
            assert (
                f"versions: {stream_id}: event {which + 1}, version: expected {which}, is {which + 1}" in verified.out
            )
        rebuild_everything()


def test_two_events_that_were_swapped_are_found_also_after_a_rebuild(stream_id):
    swap = "UPDATE events SET version = %s WHERE stream_id = %s AND version = %s"
    for new, old in ((100, 2), (2, 3), (3, 100)):
        as_superuser(swap, [new, stream_id, old])
    for _ in range(2):
        verified = assert_found("chain", f"{stream_id}: event 2, hash")
        assert f"order: {stream_id}: event 3, position" in verified.out
        rebuild_everything()


def test_what_two_events_say_was_swapped(stream_id):
    as_superuser(
        """
        UPDATE events AS e SET data = o.data FROM events AS o
        WHERE e.stream_id = %(s)s AND o.stream_id = e.stream_id AND (e.version, o.version) IN ((2, 3), (3, 2))
        """,
        {"s": stream_id},
    )
    rebuild_everything()
    assert_found("chain", f"{stream_id}: event 2, hash")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET recorded_at = recorded_at - interval '1 day' WHERE stream_id = %(s)s AND version = 2",
        "UPDATE events SET position = -position WHERE false; UPDATE events SET position = CASE position WHEN"
        " (SELECT position FROM events WHERE stream_id = %(s)s AND version = 5) THEN 100001 ELSE 100000 END"
        " WHERE (stream_id = %(s)s AND version = 5) OR position = (SELECT max(position) FROM events)",
    ],
    ids=["time of recording", "place in the log"],
)
def test_what_the_chain_cannot_cover_is_found_if_it_was_seen_before(stream_id, statement):
    assert_nothing_differs(verify())
    as_superuser(statement, {"s": stream_id})
    rebuild_everything()
    assert_found("seal", f"{stream_id}: event 5")


def test_a_whole_stream_that_was_removed_is_found(stream_id):
    as_superuser("DELETE FROM events WHERE stream_id = %s", [stream_id])
    verified = assert_found("positions")
    assert f"read_model: {stream_id}" in verified.out
    rebuild_everything()
    assert_found("positions")


@pytest.mark.parametrize("arguments", [(), ("--stream",)], ids=["all", "one"])
@pytest.mark.parametrize("which", ["version > 0", "version = 5"], ids=["stream", "event"])
def test_traces_of_what_was_removed_are_not_mended_away(stream_id, which, arguments):
    as_superuser(f"DELETE FROM events WHERE stream_id = %s AND {which}", [stream_id])
    verified = verify("--repair", *arguments, *([stream_id] if arguments else []))
    assert verified.exit_code == 1
    assert {"positions", "read_model"} <= verified.checks
    assert "not mended: anything: events are missing from the log" in verified.err
    assert AccountSummary.objects.get(account_id=stream_id.removeprefix("account-")).version == 5


def test_a_stream_that_was_seen_before_and_is_gone(stream_id):
    assert_nothing_differs(verify())
    as_superuser("DELETE FROM events WHERE stream_id = %s", [stream_id])
    assert f"versions: {stream_id}: event 0, last version: expected 5, is 0" in verify().out


def test_the_last_event_of_the_log_was_removed(account_id):
    other = opened_with(10)
    deposit(other, 5, keyed("of-the-last"))
    catch_up()
    as_superuser("DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
    verified = assert_found("head", "commands test-client of-the-last")
    assert "head: projection_checkpoints account_statement" in verified.out
    assert "head 4" in verify("--limit", "0").out
    sql("DELETE FROM projection_checkpoints")
    as_superuser("DELETE FROM commands")
    assert_found("read_model", other)


def test_money_that_came_from_nowhere(account_id):
    """Of a history that is sound link by link: what a transfer credits was never debited anywhere."""
    other = new_account_id()
    record(created(other), deposited(other, 5, contra="transit", transfer_id="trf-of-nobody"))
    catch_up()
    verified = verify()
    assert verified.checks == {"books", "transfers"}
    assert "books: totals USD, external = balances + suspense + in flight: expected" in verified.out
    assert f"transfer trf-of-nobody, movements: expected no more, is 1 x {other} +5 USD" in verified.out


def test_a_transfer_that_lacks_a_movement_or_moved_another_amount():
    source, destination = opened_with(1000), opened_with(0)
    transfer_id = transfer_id_of(transfer(source, destination, 300))
    stream_id = account_stream_id(destination)
    as_superuser(
        "UPDATE events SET data = jsonb_set(data, '{amount}', '299') WHERE stream_id = %s AND version = 2", [stream_id]
    )
    make_chain_anew(stream_id)
    catch_up()
    verified = verify()
    assert verified.checks == {"books", "transfers"}
    assert (
        f"transfer {transfer_id}, movements: expected 1 x {destination} +300 USD, is 1 x {destination} +299 USD"
        in verified.out
    )

    as_superuser("DELETE FROM events WHERE stream_id = %s AND version = 2", [stream_id])
    assert_found("transfers", transfer_id, f"expected 1 x {destination} +300 USD, is missing")


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_wrong_transfers_are_all_named_however_few_are_held_at_once(monkeypatch, at_once):
    monkeypatch.setattr(whole_log, "TRANSFERS_A_PASS", at_once)
    account_id, names = new_account_id(), [f"trf-of-nobody-{number}" for number in (3, 1, 4, 2, 5)]
    legs = [deposited(account_id, 5, contra="transit", transfer_id=name) for name in names]
    record(created(account_id), *legs, *legs)
    catch_up()
    out = verify().out
    assert all(f"transfer {name}, movements: expected no more, is 2 x {account_id} +5 USD" in out for name in names)
    assert out.count("transfers: transfer ") == len(names)


def test_a_balance_below_nothing_in_a_chain_that_is_sound():
    account_id = new_account_id()
    record(created(account_id), deposited(account_id, 5), withdrawn(account_id, 6))
    assert_found("fold", f"account-{account_id}: event 3", "6 makes 5 to -1")


@pytest.mark.parametrize("arguments", [(), ("--repair",), ("--stream", "{stream_id}", "--repair")])
def test_what_reads_all_commands_has_the_time_for_it(stream_id, arguments):
    """However long the table is, and however short the statements of others are to be."""
    limits: list[str] = []

    def watch(execute, statement, parameters, many, context):
        if "c.last_position > head.position" in statement:
            limits.extend(limit for [limit] in sql("SHOW statement_timeout"))
        return execute(statement, parameters, many, context)

    before = sql("SHOW statement_timeout")
    with connection.execute_wrapper(watch):
        assert_nothing_differs(verify(*(argument.format(stream_id=stream_id) for argument in arguments)))
    assert set(limits) == {"10min"}
    assert sql("SHOW statement_timeout") == before != [("10min",)]
