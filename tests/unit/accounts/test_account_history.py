"""What a history makes of an account, and which histories cannot be."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from accounts.domain.account import Account, AccountStatus
from accounts.domain.commands import (
    CloseAccount,
    DepositMoney,
    FreezeAccount,
    UnfreezeAccount,
    WithdrawMoney,
)
from accounts.domain.events import AccountEvent, MoneyDeposited, MoneyWithdrawn
from accounts.domain.exceptions import AccountError, ImpossibleEvent
from accounts.domain.money import MAX_AMOUNT
from accounts.handlers import RULES
from tests.unit.accounts.given_when_then import (
    ACCOUNT_ID,
    closed,
    deposited,
    frozen,
    given,
    opened,
    unfrozen,
    withdrawn,
)


def test_an_account_without_history_is_new():
    assert Account().status == "NEW"
    assert Account().balance == 0


def test_history_folds_to_the_present():
    account = given(opened("EUR"), deposited(1000, "EUR"), withdrawn(200, "EUR")).account
    assert account == Account(
        account_id=ACCOUNT_ID, owner_id="user-1", currency="EUR", balance=800, status=AccountStatus.ACTIVE
    )


def test_the_client_that_opened_it_is_kept():
    assert given(replace(opened(), client_id="app-7")).account.client_id == "app-7"


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ([opened()], "ACTIVE"),
        ([opened(), frozen()], "FROZEN"),
        ([opened(), frozen(), unfrozen()], "ACTIVE"),
        ([opened(), closed()], "CLOSED"),
    ],
)
def test_status_follows_history(history, status):
    assert given(*history).account.status == status


def test_applying_leaves_the_account_as_it_was():
    before = given(opened()).account
    after = before.apply(deposited(5))
    assert (before.balance, after.balance) == (0, 5)


@pytest.mark.parametrize(("changed", "after"), [("balance", 5), ("status", AccountStatus.CLOSED)])
def test_nothing_but_events_changes_an_account(changed, after):
    with pytest.raises(FrozenInstanceError):
        setattr(given(opened()).account, changed, after)


def test_a_movement_on_a_frozen_account_is_history_like_any_other():
    assert given(opened(), frozen(), deposited(5)).account.balance == 5


@pytest.mark.parametrize(
    ("history", "event"),
    [
        ([], deposited(1)),
        ([], frozen()),
        ([opened()], opened()),
        ([opened(), closed()], opened()),
        ([opened(), closed()], deposited(1)),
        ([opened(), closed()], unfrozen()),
        ([opened(), closed()], closed()),
        ([opened(), deposited(1)], closed()),
        ([opened()], withdrawn(1)),
        ([opened(), deposited(5)], withdrawn(6)),
        ([opened(), deposited(MAX_AMOUNT)], deposited(1)),
        ([opened()], deposited(1, "EUR")),
        ([opened(), deposited(1)], withdrawn(1, "EUR")),
        ([opened(), deposited(5)], deposited(0)),
        ([opened(), deposited(5)], deposited(-5)),
        ([opened(), deposited(5)], withdrawn(-5)),
        ([opened()], replace(deposited(1), account_id="acc-2")),
        ([opened()], AccountEvent(account_id=ACCOUNT_ID)),
    ],
)
def test_impossible_events_are_found(history, event):
    account = given(*history).account
    with pytest.raises(ImpossibleEvent) as impossible:
        account.apply(event)
    assert impossible.value.event is event
    assert event.account_id in str(impossible.value)


AMOUNTS = st.one_of(st.integers(1, 100), st.integers(MAX_AMOUNT - 100, MAX_AMOUNT))
COMMANDS = st.one_of(
    st.builds(
        DepositMoney,
        account_id=st.just(ACCOUNT_ID),
        amount=AMOUNTS,
        currency=st.sampled_from(["USD", "EUR"]),
        contra=st.sampled_from(["external", "transit"]),
        refund=st.booleans(),
    ),
    st.builds(WithdrawMoney, account_id=st.just(ACCOUNT_ID), amount=AMOUNTS, currency=st.sampled_from(["USD", "EUR"])),
    st.builds(FreezeAccount, account_id=st.just(ACCOUNT_ID)),
    st.builds(UnfreezeAccount, account_id=st.just(ACCOUNT_ID)),
    st.builds(CloseAccount, account_id=st.just(ACCOUNT_ID)),
)


@for_all(st.lists(COMMANDS, max_size=40))
def test_whatever_is_asked_the_books_are_right(commands):
    account = given(opened()).account
    moved = 0
    for command in commands:
        try:
            events = RULES[type(command)](account, command)
        except AccountError:
            continue
        for event in events:
            moved += event.amount if isinstance(event, MoneyDeposited) else 0
            moved -= event.amount if isinstance(event, MoneyWithdrawn) else 0
            account = account.apply(event)
        assert 0 <= account.balance == moved <= MAX_AMOUNT
    assert account.currency == "USD"
    assert account.status != "CLOSED" or account.balance == 0
