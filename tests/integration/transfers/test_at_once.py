"""Transfers that meet each other, the freezing of an account, and workers that resume the same one."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, local
from typing import Any

import pytest
from django.db import connection

from accounts.domain.events import AccountFrozen
from accounts.handlers import freeze_account
from accounts.repository import account_stream_id, load_account
from eventstore.commit_group import CommitGroup
from eventstore.postgres import PostgresEventStore
from eventstore.records import Commit, Outcome, RecordedEvent
from tests.factories import FreezeAccountFactory
from tests.integration.projections.account_log import account_append, created, new_account_id, record
from tests.integration.transfers.settlements import transfer_in_suspense
from tests.keyed_account_commands import OPEN, opened_with
from tests.transfer_books import books_of, legs_of, legs_that_make, transfer, transfer_id_of
from transfers import handlers
from transfers.domain.commands import ReleaseSuspense
from transfers.handlers import release_suspense, resume_transfer
from transfers.repository import load_transfer, transfer_stream_id

THREADS = 16
TRANSFERS_PER_THREAD = 6


@pytest.fixture(params=["together", "apart"])
def either_way(request, settings) -> str:
    settings.TRANSFER_STEPS = request.param
    return request.param


def at_once(actions: Iterable[Callable[[], Any]]) -> list[Any]:
    """Do each of `actions` in a thread of its own, all beginning in the same instant."""
    actions = list(actions)
    together = Barrier(len(actions), timeout=30)

    def act(action: Callable[[], Any]) -> Any:
        try:
            load_account("nobody")
            together.wait()
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(act, actions))


def events_of(account_ids: Iterable[str]) -> list[RecordedEvent]:
    store = PostgresEventStore()
    return [event for one in account_ids for event in store.read_stream(account_stream_id(one), limit=10_000)]


def assert_conserved(account_ids: list[str], outcomes: list[Outcome], *, total: int) -> None:
    books = books_of(events_of(account_ids))
    assert (books.external, books.balances, books.in_flight) == (total, total, 0)
    legs = legs_of(sorted(events_of(account_ids), key=lambda event: event.position))
    transfers = [load_transfer(transfer_id_of(outcome)).state for outcome in outcomes]
    assert legs == {one.order.transfer_id: made for one in transfers if (made := legs_that_make(one))}


def test_a_ring_of_threads_neither_locks_up_nor_loses_money(either_way):
    ring = [opened_with(100) for _ in range(THREADS)]

    def go_round(number: int) -> list[Outcome]:
        ends = ring[number], ring[(number + 1) % THREADS]
        return [transfer(*ends, 30) for _ in range(TRANSFERS_PER_THREAD)]

    turns = at_once([partial(go_round, number) for number in range(THREADS)])
    outcomes = [outcome for turn in turns for outcome in turn]
    assert {outcome.result["code"] for outcome in outcomes if outcome.refused} <= {"insufficient_funds"}
    assert any(not outcome.refused for outcome in outcomes)
    assert_conserved(ring, outcomes, total=100 * THREADS)


def test_both_directions_between_two_accounts(either_way):
    pair = [opened_with(1000), opened_with(1000)]

    def to_and_fro(number: int) -> list[Outcome]:
        ends = pair if number % 2 else pair[::-1]
        return [transfer(ends[0], ends[1], 1) for _ in range(TRANSFERS_PER_THREAD)]

    turns = at_once([partial(to_and_fro, number) for number in range(THREADS)])
    outcomes = [outcome for turn in turns for outcome in turn]
    assert not any(outcome.refused for outcome in outcomes)
    # As many went there as came back.
    assert [load_account(account_id).state.balance for account_id in pair] == [1000, 1000]
    assert_conserved(pair, outcomes, total=2000)


def test_a_destination_frozen_in_the_same_instant_has_one_of_two_outcomes(either_way):
    for _ in range(15):
        source, destination = opened_with(100), opened_with(0)

        def freeze(account_id: str = destination) -> Outcome:
            return freeze_account(command=FreezeAccountFactory.build(account_id=account_id), context=OPEN)

        def send(ends: tuple[str, str] = (source, destination)) -> Outcome:
            return transfer(*ends, 60)

        outcome, frozen = at_once([send, freeze])
        assert not frozen.refused
        balances = [load_account(account_id).state.balance for account_id in (source, destination)]
        names = [event.event_type for event in events_of([destination])]
        if outcome.refused:
            assert outcome.result["code"] == "account_frozen"
            assert balances == [100, 0]
            assert names == ["AccountCreated", "AccountFrozen"]
        else:
            assert outcome.result["state"] == "COMPLETED"
            assert balances == [40, 60]
            assert names == ["AccountCreated", "MoneyDeposited", "AccountFrozen"]
        assert_conserved([source, destination], [outcome], total=100)


def test_a_freeze_between_the_look_and_the_write_is_seen(either_way, monkeypatch):
    """The worst case of the same instant: the transfer has been decided, and the freeze is written first."""
    source, opened = opened_with(100), record(created(destination := new_account_id()))
    freeze = [Commit(streams=(account_append(AccountFrozen(account_id=destination), after=opened),))]
    append = PostgresEventStore.append

    def append_when_overtaken(self, commits):
        if freeze and opened.stream_id in {stream.stream_id for commit in commits for stream in commit.streams}:
            append(self, [freeze.pop()])
        return append(self, commits)

    monkeypatch.setattr(PostgresEventStore, "append", append_when_overtaken)
    outcome = transfer(source, destination, 60)
    assert not freeze
    assert outcome.result["code"] == "account_frozen"
    assert [load_account(account_id).state.balance for account_id in (source, destination)] == [100, 0]
    assert [event.event_type for event in events_of([destination])] == ["AccountCreated", "AccountFrozen"]
    assert_conserved([source, destination], [outcome], total=100)


def test_a_transfer_between_the_look_and_the_write_of_a_freeze_stays_done(either_way, monkeypatch):
    """The same instant the other way round: the freeze has been decided, and the transfer is written first."""
    source, destination = opened_with(100), opened_with(0)
    append, writers = PostgresEventStore.append, []

    def append_when_overtaken(self, commits):
        frozen = {account_stream_id(destination)} & {one.stream_id for commit in commits for one in commit.streams}
        writers.append(self)
        if frozen and len(writers) == 1:
            with monkeypatch.context() as patch:
                # As another process would: whoever appends here holds up this one's.
                patch.setattr("eventstore.execution.event_store", PostgresEventStore)
                outcomes.append(transfer(source, destination, 60))
        return append(self, commits)

    outcomes: list[Outcome] = []
    monkeypatch.setattr(PostgresEventStore, "append", append_when_overtaken)
    frozen = freeze_account(command=FreezeAccountFactory.build(account_id=destination), context=OPEN)
    assert not frozen.refused
    assert writers[0] is writers[-1] is not writers[1]
    [outcome] = outcomes
    assert outcome.result["state"] == "COMPLETED"
    assert [load_account(account_id).state.balance for account_id in (source, destination)] == [40, 60]
    names = [event.event_type for event in events_of([destination])]
    assert names == ["AccountCreated", "MoneyDeposited", "AccountFrozen"]
    assert_conserved([source, destination], [outcome], total=100)


def test_two_workers_resume_the_same_transfer_to_one_effect(settings, monkeypatch):
    settings.TRANSFER_STEPS, settings.TRANSFER_RESUME_SECONDS = "apart", 0
    source, destination = opened_with(100), opened_with(0)
    with monkeypatch.context() as patch:
        patch.setattr("transfers.handlers._settle", out_of_order)
        transfer_id = transfer_id_of(transfer(source, destination, 60))

    ends = at_once([lambda: resume_transfer(transfer_id=transfer_id)] * 2)

    assert "COMPLETED" in {end.state for end in ends}
    assert_one_effect(transfer_id, source, destination)


def test_two_workers_that_settle_in_the_same_instant_have_one_effect(settings, monkeypatch):
    """The worst case: both took the transfer up, both have loaded it, and neither has written."""
    settings.TRANSFER_STEPS = "apart"
    source, destination = opened_with(100), opened_with(0)
    with monkeypatch.context() as patch:
        patch.setattr("transfers.handlers._settle", out_of_order)
        transfer_id = transfer_id_of(transfer(source, destination, 60))
    append, both_are_about_to_write, worker = PostgresEventStore.append, Barrier(2, timeout=30), local()

    def append_together(self, commits):
        # Only the first time: whoever lost has to decide again, alone.
        if not hasattr(worker, "has_waited"):
            worker.has_waited = True
            both_are_about_to_write.wait()
        return append(self, commits)

    def store_of_its_own() -> PostgresEventStore:
        # As in processes of their own: those of one group might share a call, and never meet.
        if not hasattr(worker, "store"):
            worker.store = PostgresEventStore()
            worker.store.group = CommitGroup()
        store: PostgresEventStore = worker.store
        return store

    with monkeypatch.context() as patch:
        patch.setattr(PostgresEventStore, "append", append_together)
        patch.setattr("eventstore.execution.event_store", store_of_its_own)
        # Not as they take it up: one who looked before the other did may find that it is not due again yet.
        settled = at_once([lambda: handlers._settle(transfer_id, handlers._context_of_saga(transfer_id))] * 2)

    assert [outcome.result["state"] for outcome in settled] == ["COMPLETED", "COMPLETED"]
    assert sorted(outcome.replayed for outcome in settled) == [False, True]
    assert_one_effect(transfer_id, source, destination)


def test_two_operators_release_the_same_refund_to_one_effect():
    transfer_id, accounts = transfer_in_suspense(), [opened_with(1), opened_with(1)]

    def release(account_id: str) -> Outcome:
        command = ReleaseSuspense(transfer_id=transfer_id, account_id=account_id, reason="the owner's wish")
        return release_suspense(command=command, context=OPEN)

    outcomes = at_once([partial(release, account_id) for account_id in accounts])
    assert sorted(outcome.refused for outcome in outcomes) == [False, True]
    assert {outcome.result.get("code") for outcome in outcomes} == {None, "nothing_in_suspense"}
    assert sorted(load_account(account_id).state.balance for account_id in accounts) == [1, 601]


def out_of_order(*_: object) -> None:
    raise RuntimeError("the second step is out of order")


def assert_one_effect(transfer_id: str, source: str, destination: str) -> None:
    assert [load_account(account_id).state.balance for account_id in (source, destination)] == [40, 60]
    events = PostgresEventStore().read_stream(transfer_stream_id(transfer_id), limit=100)
    names = [event.event_type for event in events]
    assert names.count("TransferCompleted") == 1
    assert names[-1] == "TransferCompleted"
    legs = legs_of(events_of([source, destination]))[transfer_id]
    assert [(leg.account_id, leg.amount) for leg in legs] == [(source, -60), (destination, 60)]
