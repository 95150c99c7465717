"""What an account takes and what it refuses, rule by rule and in their order."""

from typing import Any

import pytest

from accounts.domain.commands import (
    CloseAccount,
    CreateAccount,
    DepositMoney,
    FreezeAccount,
    UnfreezeAccount,
    WithdrawMoney,
)
from accounts.domain.events import AccountClosed, AccountCreated, AccountFrozen, AccountUnfrozen, MoneyDeposited
from accounts.domain.exceptions import (
    AccountExists,
    AccountIsClosed,
    AccountIsFrozen,
    AccountNotFound,
    AccountNotFrozen,
    BalanceLimitExceeded,
    BalanceNotZero,
    CurrencyMismatch,
    InsufficientFunds,
)
from accounts.domain.money import MAX_AMOUNT, UnknownCurrency
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


def create(currency="USD"):
    return CreateAccount(account_id=ACCOUNT_ID, owner_id="user-1", currency=currency)


def deposit(amount, currency="USD", **legs):
    return DepositMoney(account_id=ACCOUNT_ID, amount=amount, currency=currency, **legs)


def refund(amount, currency="USD"):
    return deposit(amount, currency, contra="transit", refund=True)


def withdraw(amount, currency="USD"):
    return WithdrawMoney(account_id=ACCOUNT_ID, amount=amount, currency=currency)


FREEZE = FreezeAccount(account_id=ACCOUNT_ID)
UNFREEZE = UnfreezeAccount(account_id=ACCOUNT_ID)
CLOSE = CloseAccount(account_id=ACCOUNT_ID)
TO_AN_OPEN_ACCOUNT = [deposit(1), refund(1), withdraw(1), FREEZE, UNFREEZE, CLOSE]


class TestCreate:
    def test_opens_an_account_for_its_owner(self):
        command = CreateAccount(account_id=ACCOUNT_ID, owner_id="user-1", currency="KWD", client_id="app-7")
        given().when(command).then(
            AccountCreated(account_id=ACCOUNT_ID, owner_id="user-1", currency="KWD", client_id="app-7")
        )

    @pytest.mark.parametrize("history", [[opened()], [opened(), frozen()], [opened(), closed()]])
    def test_happens_once_for_ever(self, history):
        given(*history).when(create("EUR")).then_refused(AccountExists)

    @pytest.mark.parametrize("currency", ["XXX", "XAU", "usd", "ZZZ", ""])
    def test_in_no_currency_is_a_fault_of_the_caller(self, currency):
        with pytest.raises(UnknownCurrency):
            given().when(create(currency)).then()


class TestDeposit:
    def test_adds_money(self):
        given(opened()).when(deposit(1000)).then(deposited(1000))

    def test_keeps_all_that_the_command_says(self):
        said: dict[str, Any] = {
            "account_id": ACCOUNT_ID,
            "amount": 5,
            "currency": "USD",
            "contra": "transit",
            "transaction_id": "txn-1",
            "transfer_id": "trf-1",
            "counterparty": "acc-2",
            "refund": True,
            "description": "back again",
            "metadata": {"channel": "app"},
        }
        given(opened()).when(DepositMoney(**said)).then(MoneyDeposited(**said))

    def test_in_another_currency_is_refused(self):
        given(opened("EUR")).when(deposit(1000, "USD")).then_refused(
            CurrencyMismatch, currency="USD", accountCurrency="EUR"
        )

    def test_up_to_the_largest_balance(self):
        given(opened()).when(deposit(2**53 - 1)).then(deposited(2**53 - 1))
        given(opened(), deposited(1)).when(deposit(2**53 - 2)).then(deposited(2**53 - 2))

    def test_above_the_largest_balance_is_refused(self):
        given(opened(), deposited(1)).when(deposit(2**53 - 1)).then_refused(
            BalanceLimitExceeded, balance=1, amount=2**53 - 1, currency="USD"
        )


class TestWithdraw:
    def test_takes_money(self):
        given(opened(), deposited(1000)).when(withdraw(200)).then(withdrawn(200))

    def test_takes_everything(self):
        given(opened(), deposited(1000), withdrawn(200)).when(withdraw(800)).then(withdrawn(800))

    def test_more_than_there_is_is_refused(self):
        given(opened(), deposited(1000)).when(withdraw(1001)).then_refused(
            InsufficientFunds, balance=1000, amount=1001, currency="USD"
        )

    def test_in_another_currency_is_refused(self):
        given(opened("EUR"), deposited(1000, "EUR")).when(withdraw(1000, "USD")).then_refused(
            CurrencyMismatch, currency="USD", accountCurrency="EUR"
        )


@pytest.mark.parametrize("amount", [0, -1, 2**53, 1.0, True, "1", None])
@pytest.mark.parametrize("movement", [deposit, withdraw])
@pytest.mark.parametrize("history", [[], [opened(), deposited(MAX_AMOUNT)]])
def test_no_amount_at_all_is_a_fault_of_the_caller(history, movement, amount):
    with pytest.raises(ValueError, match="no amount"):
        given(*history).when(movement(amount)).then()


class TestFreeze:
    def test_stops_the_account_for_a_reason(self):
        given(opened()).when(FreezeAccount(account_id=ACCOUNT_ID, reason="compliance review")).then(
            AccountFrozen(account_id=ACCOUNT_ID, reason="compliance review")
        )

    @pytest.mark.parametrize("command", [deposit(1), withdraw(1), FREEZE, CLOSE])
    def test_a_frozen_account_refuses(self, command):
        given(opened(), deposited(1), frozen()).when(command).then_refused(AccountIsFrozen)

    def test_a_frozen_empty_account_cannot_be_closed(self):
        given(opened(), frozen()).when(CLOSE).then_refused(AccountIsFrozen)

    def test_a_frozen_account_takes_the_refund_of_a_transfer(self):
        [event] = given(opened(), frozen()).account.deposit(refund(5))
        assert (event.amount, event.contra, event.refund) == (5, "transit", True)

    @pytest.mark.parametrize("legs", [{"contra": "transit"}, {"refund": True}, {"contra": "external", "refund": True}])
    def test_a_frozen_account_takes_nothing_that_is_like_a_refund(self, legs):
        given(opened(), frozen()).when(deposit(5, **legs)).then_refused(AccountIsFrozen)

    def test_a_refund_keeps_the_other_rules(self):
        given(opened(), frozen()).when(refund(5, "EUR")).then_refused(
            CurrencyMismatch, currency="EUR", accountCurrency="USD"
        )
        given(opened(), deposited(MAX_AMOUNT), frozen()).when(refund(1)).then_refused(
            BalanceLimitExceeded, balance=MAX_AMOUNT, amount=1, currency="USD"
        )


class TestUnfreeze:
    def test_lets_money_move_again(self):
        given(opened(), frozen()).when(UnfreezeAccount(account_id=ACCOUNT_ID, reason="review done")).then(
            AccountUnfrozen(account_id=ACCOUNT_ID, reason="review done")
        )
        given(opened(), frozen(), unfrozen()).when(deposit(1)).then(deposited(1))

    @pytest.mark.parametrize("history", [[opened()], [opened(), frozen(), unfrozen()]])
    def test_needs_a_frozen_account(self, history):
        given(*history).when(UNFREEZE).then_refused(AccountNotFrozen)


class TestClose:
    @pytest.mark.parametrize("history", [[opened()], [opened(), deposited(7), withdrawn(7)]])
    def test_ends_an_empty_account(self, history):
        given(*history).when(CloseAccount(account_id=ACCOUNT_ID, reason="owner's wish")).then(
            AccountClosed(account_id=ACCOUNT_ID, reason="owner's wish")
        )

    def test_with_money_on_it_is_refused(self):
        given(opened(), deposited(1)).when(CLOSE).then_refused(BalanceNotZero, balance=1, currency="USD")

    @pytest.mark.parametrize("command", TO_AN_OPEN_ACCOUNT)
    def test_a_closed_account_takes_nothing(self, command):
        given(opened(), closed()).when(command).then_refused(AccountIsClosed)


class TestOrderOfRules:
    """The first broken rule refuses: not found, closed, frozen, currency, funds or limit."""

    @pytest.mark.parametrize("command", [*TO_AN_OPEN_ACCOUNT, withdraw(1, "EUR"), deposit(1, "EUR")])
    def test_not_found_comes_first(self, command):
        given().when(command).then_refused(AccountNotFound)

    @pytest.mark.parametrize("command", [deposit(1, "EUR"), withdraw(1, "EUR")])
    def test_closed_comes_before_currency_and_funds(self, command):
        given(opened(), closed()).when(command).then_refused(AccountIsClosed)

    def test_closed_comes_before_not_frozen(self):
        given(opened(), closed()).when(UNFREEZE).then_refused(AccountIsClosed)

    @pytest.mark.parametrize(
        "command", [deposit(1, "EUR"), withdraw(1, "EUR"), deposit(MAX_AMOUNT), withdraw(MAX_AMOUNT), CLOSE]
    )
    def test_frozen_comes_before_currency_and_funds_and_balance(self, command):
        given(opened(), deposited(1), frozen()).when(command).then_refused(AccountIsFrozen)

    @pytest.mark.parametrize("movement", [deposit, withdraw])
    def test_currency_comes_before_funds_and_limit(self, movement):
        given(opened(), deposited(1)).when(movement(MAX_AMOUNT, "EUR")).then_refused(
            CurrencyMismatch, currency="EUR", accountCurrency="USD"
        )
