"""Whatever is asked, in whatever order, and wherever processes die: the books are right, and every transfer ends."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import pytest
from django.db.models import Model
from django.test import override_settings
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.domain.commands import (
    CloseAccount,
    CreateAccount,
    DepositMoney,
    FreezeAccount,
    UnfreezeAccount,
    WithdrawMoney,
)
from accounts.domain.money import MAX_AMOUNT
from accounts.handlers import (
    close_account,
    create_account,
    deposit_money,
    freeze_account,
    unfreeze_account,
    withdraw_money,
)
from accounts.repository import account_stream_id, load_account
from eventstore.memory import MemoryEventStore
from eventstore.records import CommandContext, RecordedEvent
from eventstore.store import event_store
from projections.projector import Projector, Row, selects
from projections.projectors import PROJECTORS
from projections.projectors.account_statement import _LAST_LINE
from projections.projectors.transfer_status import FollowedTransfer
from tests.keyed_account_commands import OPEN, keyed
from tests.transfer_books import books_of, legs_of, legs_that_make
from transfers.domain.commands import InitiateTransfer, ReleaseSuspense, RetryTransfer
from transfers.domain.exceptions import TransferNotFound
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState
from transfers.handlers import initiate_transfer, release_suspense, resume_transfer, retry_transfer
from transfers.in_flight import stuck_transfers
from transfers.repository import load_transfer
from transfers.tasks import resume_due

SUMMARY, STATEMENT, STATUS = PROJECTORS

ACCOUNTS = st.sampled_from([f"acc-{number}" for number in range(4)])
ENDS = st.tuples(ACCOUNTS, ACCOUNTS).filter(lambda ends: ends[0] != ends[1])
AMOUNTS = st.sampled_from([1, 7, 50, 80])
WAYS = st.sampled_from(["together", "apart"])
# Each append has two boundaries, one before it and one after: at which of them the process dies, if it does.
DEATHS = st.none() | st.integers(1, 6)


class Death(BaseException):
    """The end of a process, as far as the code that runs in it can tell."""


class MortalStore(MemoryEventStore):
    """A log whose writers die at a boundary that a test chooses."""

    boundaries_to_live: int | None = None

    def append(self, commits):
        self._pass_boundary()
        results = super().append(commits)
        self._pass_boundary()
        return results

    def _pass_boundary(self) -> None:
        if self.boundaries_to_live is not None:
            self.boundaries_to_live -= 1
            if not self.boundaries_to_live:
                self.boundaries_to_live = None
                raise Death


class Projected:
    """What the projections make of the log: all in one go, and from the rows that each event before left."""

    def __init__(self) -> None:
        self.position = 0
        self.folded: dict[Projector, dict[str, Any]] = {projector: {} for projector in PROJECTORS}
        self.rows: dict[type[Model], dict[str, dict[str, Any]]] = {projector.model: {} for projector in PROJECTORS}

    @contextmanager
    def read(self) -> Iterator[None]:
        """Let the projectors read these rows instead of tables."""
        with (
            patch("projections.projectors.account_summary.load_rows", self.load_rows),
            patch("projections.projectors.account_statement._last_lines", self.last_lines),
            patch("projections.projectors.transfer_status.load_rows", self.load_rows),
        ):
            yield

    def load_rows(self, *, model: type[Model], columns: tuple[str, ...], by: str, ids: Collection[str]) -> list[Row]:
        rows = [self.rows[model][one] for one in ids if one in self.rows[model]]
        return [tuple(row[column] for column in columns) for row in rows]

    def last_lines(self, account_ids: Collection[str]) -> list[Row]:
        return self.load_rows(model=STATEMENT.model, columns=_LAST_LINE, by="account_id", ids=account_ids)

    def catch_up(self, log: list[RecordedEvent]) -> None:
        with self.read():
            for event in log[self.position :]:
                for projector in PROJECTORS:
                    if selects(projector=projector, stream_id=event.stream_id):
                        self.project(projector, event)
                self.position = event.position

    def project(self, projector: Projector[Any], event: RecordedEvent) -> None:
        initial, folded = projector.initial(stream_id=event.stream_id), self.folded[projector]
        folded[event.stream_id] = projector.apply(state=folded.get(event.stream_id) or initial, event=event)
        stored = projector.load(stream_ids=[event.stream_id]).get(event.stream_id) or initial
        [row] = projector.rows(history=[projector.apply(state=stored, event=event)])
        named = dict(zip(projector.columns, row, strict=True))
        self.rows[projector.model][named[projector.stream_column]] = named

    def loaded(self, projector: Projector[Any]) -> dict[str, Any]:
        """Return what the projector reads out of its rows, by stream."""
        with self.read():
            return dict(projector.load(stream_ids=self.folded[projector]))


class Bank(RuleBasedStateMachine):
    """Four accounts, and any number of transfers between them."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = override_settings(
            EVENT_STORE_KIND="in-memory", TRANSFER_RESUME_SECONDS=0, TRANSFER_MAX_ATTEMPTS=1
        )
        self.settings.enable()
        event_store.cache_clear()
        with patch("eventstore.memory.MemoryEventStore", MortalStore):
            self.store = cast(MortalStore, event_store())
        self.projected = Projected()
        self.external = 0
        self.asked: list[tuple[InitiateTransfer, CommandContext]] = []

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            event_store.cache_clear()
            self.settings.disable()

    @initialize(euros=st.booleans(), no_way_back=st.booleans())
    def open_accounts(self, euros: bool, no_way_back: bool) -> None:
        for account_id in ("acc-0", "acc-1", "acc-2"):
            self.create(account_id, "USD")
            self.deposit(account_id, 100)
        if euros:
            self.create("acc-3", "EUR")
        if no_way_back:
            # Whoever takes it up has nowhere to go with the money but into suspense.
            self.create("acc-4", "USD")
            self.deposit("acc-4", 80)
            self.transfer_and_die_with_the_money_in_flight(("acc-4", "acc-5"), 80)
            self.change_for_good("acc-4", "close")

    @rule(account_id=ACCOUNTS, amount=AMOUNTS)
    def deposit(self, account_id: str, amount: int) -> None:
        command = DepositMoney(account_id=account_id, amount=amount, currency="USD")
        self.external += 0 if deposit_money(command=command, context=OPEN).refused else amount

    @rule(account_id=ACCOUNTS, amount=AMOUNTS)
    def withdraw(self, account_id: str, amount: int) -> None:
        command = WithdrawMoney(account_id=account_id, amount=amount, currency="USD")
        self.external -= 0 if withdraw_money(command=command, context=OPEN).refused else amount

    @rule(account_id=ACCOUNTS)
    def freeze_or_unfreeze(self, account_id: str) -> None:
        if freeze_account(command=FreezeAccount(account_id=account_id), context=OPEN).refused:
            unfreeze_account(command=UnfreezeAccount(account_id=account_id), context=OPEN)

    @rule(account_id=ACCOUNTS, change=st.sampled_from(["create", "fill", "close"]))
    def change_for_good(self, account_id: str, change: str) -> None:
        balance = load_account(account_id).state.balance
        if change == "create":
            self.create(account_id, "USD")
        elif change == "fill" and balance < MAX_AMOUNT:
            self.deposit(account_id, MAX_AMOUNT - balance)
        elif change == "close":
            if balance:
                self.withdraw(account_id, balance)
            close_account(command=CloseAccount(account_id=account_id), context=OPEN)

    @rule(ends=ENDS, amount=AMOUNTS)
    def transfer_together(self, ends: tuple[str, str], amount: int) -> None:
        self.transfer("together", ends, amount)

    @rule(ends=ENDS, amount=AMOUNTS)
    def transfer_apart(self, ends: tuple[str, str], amount: int) -> None:
        self.transfer("apart", ends, amount)

    @rule(way=WAYS, ends=ENDS, amount=AMOUNTS, death=st.integers(1, 4))
    def transfer_and_die(self, way: str, ends: tuple[str, str], amount: int, death: int) -> None:
        self.transfer(way, ends, amount, death)

    @rule(ends=ENDS, amount=AMOUNTS)
    def transfer_and_die_with_the_money_in_flight(self, ends: tuple[str, str], amount: int) -> None:
        self.transfer("apart", ends, amount, death=3)

    @precondition(lambda self: self.asked)
    @rule(way=WAYS, data=st.data(), death=DEATHS, with_key=st.booleans())
    def deliver_again(self, way: str, data: st.DataObject, death: int | None, with_key: bool) -> None:
        command, context = data.draw(st.sampled_from(self.asked))
        before = self.state_of(command)
        self.deliver(way, command, context if with_key else OPEN, death)
        if before.state not in {TransferState.NEW, *IN_FLIGHT}:
            assert self.state_of(command) == before

    @rule(death=DEATHS)
    def resume_all(self, death: int | None) -> None:
        with self.mortal(death):
            resume_due(slice_seconds=60)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def resume_one_twice(self, data: st.DataObject) -> None:
        command, _ = data.draw(st.sampled_from(self.asked))
        for _ in range(2):
            with suppress(TransferNotFound):
                resume_transfer(transfer_id=command.transfer_id)

    @rule()
    def retry_all(self) -> None:
        for transfer_id in stuck_transfers():
            retry_transfer(command=RetryTransfer(transfer_id=transfer_id, reason="looked at it"), context=OPEN)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), account_id=ACCOUNTS)
    def release(self, data: st.DataObject, account_id: str) -> None:
        command, _ = data.draw(st.sampled_from(self.asked))
        release = ReleaseSuspense(transfer_id=command.transfer_id, account_id=account_id, reason="asked the owner")
        with suppress(TransferNotFound):
            release_suspense(command=release, context=OPEN)

    @invariant()
    def the_books_balance(self) -> None:
        books, transfers = books_of(self.log()), self.transfers()
        assert books.external == self.external
        assert books.external == books.balances + books.in_flight
        assert books.in_flight == sum(one.order.amount for one in transfers if one.state in IN_FLIGHT)
        accounts = [load_account(account_id).state for account_id in self.account_ids()]
        assert all(account.balance >= 0 for account in accounts)
        assert sum(account.balance for account in accounts) == books.balances

    @invariant()
    def every_transfer_has_the_legs_of_its_state(self) -> None:
        legs = legs_of(self.log())
        assert legs == {one.order.transfer_id: made for one in self.transfers() if (made := legs_that_make(one))}

    @invariant()
    def projections_are_the_fold(self) -> None:
        self.projected.catch_up(self.log())
        summaries, statements = self.projected.loaded(SUMMARY), self.projected.loaded(STATEMENT)
        assert summaries == self.projected.folded[SUMMARY]
        for account_id in self.account_ids():
            stored, stream_id = load_account(account_id), account_stream_id(account_id)
            account, end = stored.state, statements[stream_id]
            assert (summaries[stream_id].account, summaries[stream_id].version) == (account, stored.version)
            assert (end.account.account_id, end.account.currency) == (account.account_id, account.currency)
            assert (end.account.balance, end.version) == (account.balance, stored.version)
            assert (end.account.status == "CLOSED") == (account.status == "CLOSED")
        # In the log they begin in the order of their commits; a client that died asks again later.
        followed = self.projected.loaded(STATUS)
        assert followed == {name: but_for_its_time(one) for name, one in self.projected.folded[STATUS].items()}
        transfers = {one.order.transfer_id: replace(one, resume_at=None) for one in self.transfers()}
        assert {one.transfer.order.transfer_id: one.transfer for one in followed.values()} == transfers

    def create(self, account_id: str, currency: str) -> None:
        command = CreateAccount(account_id=account_id, owner_id="user-1", client_id="app-7", currency=currency)
        create_account(command=command, context=OPEN)

    def transfer(self, way: str, ends: tuple[str, str], amount: int, death: int | None = None) -> None:
        command = InitiateTransfer(
            transfer_id=f"trf-{len(self.asked)}",
            source_account_id=ends[0],
            destination_account_id=ends[1],
            amount=amount,
            currency="USD",
            transaction_id="txn-1",
            client_id="app-7",
            description="rent",
            metadata={"invoice": "7"},
        )
        self.asked.append((command, keyed()))
        self.deliver(way, command, self.asked[-1][1], death)

    def finish(self) -> None:
        """Let the bank work undisturbed: every transfer that was begun comes to an end."""
        self.retry_all()
        resume_due(slice_seconds=60)
        self.retry_all()
        resume_due(slice_seconds=60)
        assert {one.state for one in self.transfers()} <= {TransferState.COMPLETED, TransferState.FAILED}
        self.the_books_balance()

    def deliver(self, way: str, command: InitiateTransfer, context: CommandContext, death: int | None) -> None:
        with self.mortal(death), override_settings(TRANSFER_STEPS=way):
            initiate_transfer(command=command, context=context)

    @contextmanager
    def mortal(self, boundaries_to_live: int | None) -> Iterator[None]:
        self.store.boundaries_to_live = boundaries_to_live
        with suppress(Death):
            yield
        self.store.boundaries_to_live = None

    def state_of(self, command: InitiateTransfer) -> Transfer:
        transfer: Transfer = load_transfer(command.transfer_id).state
        return transfer

    def transfers(self) -> list[Transfer]:
        begun = (self.state_of(command) for command, _ in self.asked)
        return [transfer for transfer in begun if transfer.state is not TransferState.NEW]

    def account_ids(self) -> list[str]:
        return [event.data["accountId"] for event in self.log() if event.event_type == "AccountCreated"]

    def log(self) -> list[RecordedEvent]:
        return self.store.read_all(after_position=0, limit=100_000)


def but_for_its_time(followed: FollowedTransfer) -> FollowedTransfer:
    """Return what a row keeps: all but when the transfer may be taken up next."""
    return followed._replace(transfer=replace(followed.transfer, resume_at=None))


def test_a_hundred_sequences():
    run_state_machine_as_test(
        Bank, settings=hypothesis_settings(max_examples=100, stateful_step_count=30, deadline=None)
    )


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_thousand_sequences():
    run_state_machine_as_test(
        Bank, settings=hypothesis_settings(max_examples=1000, stateful_step_count=50, deadline=None)
    )
