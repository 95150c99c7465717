"""Says what an account does in one sentence: given a history, when a command comes, then events or a refusal."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest

from accounts.domain.account import Account
from accounts.domain.commands import AccountCommand
from accounts.domain.events import (
    AccountClosed,
    AccountCreated,
    AccountEvent,
    AccountFrozen,
    AccountUnfrozen,
    MoneyDeposited,
    MoneyWithdrawn,
)
from accounts.domain.exceptions import AccountError
from accounts.handlers import RULES

ACCOUNT_ID = "acc-1"


class When:
    """A command that has come to an account."""

    def __init__(self, account: Account, command: AccountCommand) -> None:
        self._account = account
        self._command = command

    def then(self, *expected: AccountEvent) -> None:
        assert self._decide() == expected

    def then_refused(self, error: type[AccountError], **fields: Any) -> None:
        with pytest.raises(AccountError) as refusal:
            self._decide()
        assert type(refusal.value) is error
        assert refusal.value.fields == {"accountId": ACCOUNT_ID, **fields}

    def _decide(self) -> Sequence[AccountEvent]:
        return RULES[type(self._command)](self._account, self._command)


class Given:
    """An account with a history."""

    def __init__(self, *history: AccountEvent) -> None:
        self.account = reduce(Account.apply, history, Account())

    def when(self, command: AccountCommand) -> When:
        return When(self.account, command)


given = Given


def opened(currency: str = "USD") -> AccountCreated:
    return AccountCreated(account_id=ACCOUNT_ID, owner_id="user-1", currency=currency)


def deposited(amount: int, currency: str = "USD") -> MoneyDeposited:
    return MoneyDeposited(account_id=ACCOUNT_ID, amount=amount, currency=currency, contra="external")


def withdrawn(amount: int, currency: str = "USD") -> MoneyWithdrawn:
    return MoneyWithdrawn(account_id=ACCOUNT_ID, amount=amount, currency=currency, contra="external")


def frozen() -> AccountFrozen:
    return AccountFrozen(account_id=ACCOUNT_ID)


def unfrozen() -> AccountUnfrozen:
    return AccountUnfrozen(account_id=ACCOUNT_ID)


def closed() -> AccountClosed:
    return AccountClosed(account_id=ACCOUNT_ID)
