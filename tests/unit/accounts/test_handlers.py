"""What the handlers make of commands, on a log in memory."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from accounts.domain.access import AccountReach
from accounts.domain.account import Account
from accounts.domain.exceptions import ImpossibleEvent
from accounts.handlers import (
    close_account,
    create_account,
    decide,
    deposit_money,
    freeze_account,
    unfreeze_account,
    withdraw_money,
)
from accounts.repository import account_stream_id, load_account
from eventstore.chain import chain_hashes
from eventstore.records import CommandContext, Commit, NewEvent, StoredState, StreamAppend
from eventstore.store import EventStore
from tests.factories import (
    NOON,
    CloseAccountFactory,
    CreateAccountFactory,
    DepositMoneyFactory,
    FreezeAccountFactory,
    UnfreezeAccountFactory,
    WithdrawMoneyFactory,
)
from tests.keyed_account_commands import (
    OPEN,
    KeyedAccountCommands,
    PrecedenceOfAnswers,
    assert_replayed,
    assert_stands_at,
    at_version,
    keyed,
    opened_with,
)
from tests.unit.accounts.given_when_then import ACCOUNT_ID, deposited, frozen, given, opened

pytestmark = pytest.mark.usefixtures("store")


class TestKeyedAccountCommands(KeyedAccountCommands):
    """Command keys, on a log in memory."""


class TestPrecedenceOfAnswers(PrecedenceOfAnswers):
    """Precedence, on a log in memory."""


def test_the_life_of_an_account(store: EventStore):
    create = CreateAccountFactory.build(currency="KWD", client_id="app-7")
    account = {"account_id": create.account_id}
    money = account | {"amount": 700, "currency": "KWD"}
    outcomes = [
        create_account(command=create, context=OPEN),
        deposit_money(command=DepositMoneyFactory.build(**money), context=OPEN),
        freeze_account(command=FreezeAccountFactory.build(**account), context=OPEN),
        unfreeze_account(command=UnfreezeAccountFactory.build(**account), context=OPEN),
        withdraw_money(command=WithdrawMoneyFactory.build(**money), context=OPEN),
        close_account(command=CloseAccountFactory.build(**account), context=OPEN),
    ]
    events = store.read_stream(account_stream_id(create.account_id), limit=10)
    assert [event.event_type for event in events] == [
        "AccountCreated",
        "MoneyDeposited",
        "AccountFrozen",
        "AccountUnfrozen",
        "MoneyWithdrawn",
        "AccountClosed",
    ]
    assert [outcome.result for outcome in outcomes] == [
        {
            "status": "accepted",
            "accountId": create.account_id,
            "eventId": str(event.event_id),
            "version": version,
            "balance": balance,
            "currency": "KWD",
            "currencyExponent": 3,
        }
        for version, (event, balance) in enumerate(zip(events, [0, 700, 700, 700, 0, 0], strict=True), start=1)
    ]
    assert [outcome.last_position for outcome in outcomes] == [event.position for event in events]
    assert load_account(create.account_id).state.client_id == "app-7"


def test_events_keep_what_surrounded_their_command(store: EventStore):
    create = CreateAccountFactory.build(description="first account", metadata={"channel": "branch"})
    years_ago = datetime(2019, 5, 17, 9, 30, tzinfo=UTC)
    create_account(command=create, context=CommandContext(metadata={"actor": "teller-1"}, occurred_at=years_ago))
    [event] = store.read_stream(account_stream_id(create.account_id), limit=10)
    assert event.data["description"] == "first account"
    assert event.data["metadata"] == {"channel": "branch"}
    assert event.metadata == {"actor": "teller-1"}
    assert event.occurred_at == years_ago


def test_a_movement_is_stored_with_all_it_says(store: EventStore):
    account_id = opened_with(0)
    command = DepositMoneyFactory.build(
        account_id=account_id, contra="transit", transfer_id="trf-1", counterparty="acc-2", refund=True
    )
    deposit_money(command=command, context=OPEN)
    [event] = store.read_stream(account_stream_id(account_id), after_version=1, limit=10)
    assert (event.event_type, event.schema_version) == ("MoneyDeposited", 2)
    assert event.data == {
        "accountId": account_id,
        "amount": 1000,
        "currency": "USD",
        "transactionId": command.transaction_id,
        "contra": "transit",
        "transferId": "trf-1",
        "counterparty": "acc-2",
        "refund": True,
    }


class TestDecide:
    """Decisions depend on nothing but what is given."""

    EVENT_ID = UUID("0b0e6a66-5b5c-4b51-8ab3-1f9f2a5d7c11")

    def decide(self, account: Account, command, version: int):
        stored = StoredState(
            stream_id=f"account-{ACCOUNT_ID}",
            version=version,
            hash=bytes(32),
            occurred_at=NOON,
            snapshot_version=0,
            state=account,
        )
        return decide({stored.stream_id: stored}, command, NOON, lambda: self.EVENT_ID)

    def test_an_accepted_command_becomes_events_and_a_result(self):
        account = given(opened(), deposited(1000)).account
        decision = self.decide(account, WithdrawMoneyFactory.build(account_id=ACCOUNT_ID, amount=200), 2)
        [(stream_id, [event])] = decision.events.items()
        assert (stream_id, event.event_id, event.event_type) == ("account-acc-1", self.EVENT_ID, "MoneyWithdrawn")
        assert decision.result["version"] == 3
        assert decision.result["balance"] == 800
        assert decision.result["eventId"] == str(self.EVENT_ID)
        assert not decision.refused
        assert account.balance == 1000

    def test_a_refused_command_becomes_a_verdict_alone(self):
        account = given(opened(), frozen()).account
        decision = self.decide(account, DepositMoneyFactory.build(account_id=ACCOUNT_ID), 2)
        assert decision.refused
        assert decision.events == {}
        assert decision.result == {"code": "account_frozen", "fields": {"accountId": ACCOUNT_ID}}

    def test_the_same_question_has_the_same_answer(self):
        account = given(opened(), deposited(5)).account
        command = WithdrawMoneyFactory.build(account_id=ACCOUNT_ID, amount=5)
        assert self.decide(account, command, 2) == self.decide(account, command, 2)


def test_an_impossible_history_stops_every_command(store: EventStore):
    """A deposit in a stream that no account began: what a repair by hand might leave behind."""
    command = DepositMoneyFactory.build()
    stream_id = account_stream_id(command.account_id)
    stray = NewEvent(
        event_id=UUID(int=1),
        event_type="MoneyDeposited",
        schema_version=1,
        data={"accountId": command.account_id, "amount": 5, "currency": "USD"},
        metadata={},
        occurred_at=NOON,
    )
    hashes = chain_hashes(stream_id=stream_id, version=0, previous_hash=b"", events=[stray])
    store.append(
        [Commit(streams=(StreamAppend(stream_id=stream_id, expected_version=0, events=(stray,), hashes=hashes),))]
    )
    with pytest.raises(ImpossibleEvent, match="was not created"):
        deposit_money(command=command, context=OPEN)
    assert len(store.read_stream(stream_id, limit=10)) == 1


@pytest.mark.parametrize(
    ("handle", "factory"),
    [
        (create_account, CreateAccountFactory),
        (deposit_money, DepositMoneyFactory),
        (withdraw_money, WithdrawMoneyFactory),
        (freeze_account, FreezeAccountFactory),
        (unfreeze_account, UnfreezeAccountFactory),
        (close_account, CloseAccountFactory),
    ],
)
def test_the_banks_own_accounts_are_nobody_elses(store: EventStore, handle, factory):
    command = factory.build(account_id="suspense:USD")
    for context in (OPEN, at_version("suspense:USD", 7)):
        refused = handle(command=command, context=context)
        assert refused.result == {"code": "account_reserved", "fields": {"accountId": "suspense:USD"}}
    assert store.read_stream(account_stream_id("suspense:USD"), limit=1) == []


STRANGER = AccountReach(client_id="stranger")


def test_what_is_beyond_reach_is_refused_for_good_whether_it_is_there_or_not():
    """Also at a version that it has not: none of the answers, nor what is kept of them, tells one from the other."""
    theirs, nobodys = opened_with(500), CreateAccountFactory.build()
    kept = []
    for account_id in (theirs, nobodys.account_id):
        for version in (None, 0, 2):
            context = keyed() if version is None else at_version(account_id, version, like=keyed())
            command = WithdrawMoneyFactory.build(account_id=account_id, amount=100)
            first = withdraw_money(command=command, context=context, reach=STRANGER)
            assert (first.refused, first.last_position) == (True, None)
            assert first.result == {"code": "account_not_found", "fields": {"accountId": account_id}}
            kept.append((context, command))
    create_account(command=nobodys, context=OPEN)
    for context, command in kept:
        late = withdraw_money(command=command, context=context)
        assert (late.refused, late.replayed, late.result["code"]) == (True, True, "account_not_found")
    assert_stands_at(theirs, version=2, balance=500)


def test_who_was_told_that_an_id_is_taken_is_told_so_again():
    taken = opened_with(0)
    context = at_version(taken, 0, like=keyed())
    command = CreateAccountFactory.build(account_id=taken, client_id="stranger")
    first = create_account(command=command, context=context, reach=STRANGER)
    assert first.result == {"code": "account_exists", "fields": {"accountId": taken}}
    assert_replayed(first, create_account(command=command, context=context, reach=STRANGER))


def test_a_refusal_for_want_of_reach_is_decided_again_if_the_account_was_opened_meanwhile(store, monkeypatch):
    opening = CreateAccountFactory.build(client_id="stranger")
    append = store.append

    def open_first(commits):
        monkeypatch.setattr(store, "append", append)
        create_account(command=opening, context=OPEN)
        return append(commits)

    monkeypatch.setattr(store, "append", open_first)
    command = DepositMoneyFactory.build(account_id=opening.account_id)
    assert not deposit_money(command=command, context=keyed(), reach=STRANGER).refused
