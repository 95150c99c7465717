"""The account: its rules, which turn commands into events, and its state, which only events change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any

from accounts.domain.commands import (
    TRANSIT,
    AccountCommand,
    CloseAccount,
    CreateAccount,
    DepositMoney,
    FreezeAccount,
    Movement,
    UnfreezeAccount,
    WithdrawMoney,
)
from accounts.domain.events import (
    AccountClosed,
    AccountCreated,
    AccountEvent,
    AccountFrozen,
    AccountUnfrozen,
    MoneyDeposited,
    MoneyMoved,
    MoneyWithdrawn,
)
from accounts.domain.exceptions import (
    AccountExists,
    AccountIsClosed,
    AccountIsFrozen,
    AccountNotFound,
    AccountNotFrozen,
    BalanceLimitExceeded,
    BalanceNotZero,
    CurrencyMismatch,
    ImpossibleEvent,
    InsufficientFunds,
)
from accounts.domain.money import MAX_AMOUNT, currency_exponent, require_amount


class AccountStatus(StrEnum):
    """Where an account is in its life; NEW is one that was never opened."""

    NEW = "NEW"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an account has come to; `balance` is in minor units of `currency`, from 0 to MAX_AMOUNT.

    Each command has a method that returns the events it leads to, or raises the AccountError that refuses it, and
    changes nothing. The first broken rule refuses: not found, closed, frozen, currency, funds or limit.
    """

    account_id: str = ""
    owner_id: str = ""
    client_id: str | None = None
    currency: str = ""
    balance: int = 0
    status: AccountStatus = AccountStatus.NEW

    def create(self, command: CreateAccount) -> tuple[AccountCreated, ...]:
        """Open the account, once and for ever: not even a closed one can be opened again.

        Raises AccountExists; UnknownCurrency, a ValueError, if the edge let through a currency that is none.
        """
        currency_exponent(command.currency)
        if self.status is not AccountStatus.NEW:
            raise AccountExists(accountId=command.account_id)
        return (AccountCreated(**_said_by(command)),)

    def deposit(self, command: DepositMoney) -> tuple[MoneyDeposited, ...]:
        """Add money. The refund of a transfer reaches a frozen account too: the money is its owner's already.

        Raises AccountNotFound, AccountIsClosed, AccountIsFrozen, CurrencyMismatch or BalanceLimitExceeded.
        """
        is_refund = command.refund and command.contra == TRANSIT
        self._require_movable(command, frozen_too=is_refund)
        if self.balance + command.amount > MAX_AMOUNT:
            raise BalanceLimitExceeded(**self._balance_and_amount(command))
        return (MoneyDeposited(**_said_by(command)),)

    def withdraw(self, command: WithdrawMoney) -> tuple[MoneyWithdrawn, ...]:
        """Take money, down to a balance of 0.

        Raises AccountNotFound, AccountIsClosed, AccountIsFrozen, CurrencyMismatch or InsufficientFunds.
        """
        self._require_movable(command)
        if command.amount > self.balance:
            raise InsufficientFunds(**self._balance_and_amount(command))
        return (MoneyWithdrawn(**_said_by(command)),)

    def freeze(self, command: FreezeAccount) -> tuple[AccountFrozen, ...]:
        """Stop all movements. Raises AccountNotFound, AccountIsClosed or AccountIsFrozen."""
        self._require_open(command)
        self._require_not_frozen()
        return (AccountFrozen(**_said_by(command)),)

    def unfreeze(self, command: UnfreezeAccount) -> tuple[AccountUnfrozen, ...]:
        """Allow movements again. Raises AccountNotFound, AccountIsClosed or AccountNotFrozen."""
        self._require_open(command)
        if self.status is not AccountStatus.FROZEN:
            raise AccountNotFrozen(accountId=self.account_id)
        return (AccountUnfrozen(**_said_by(command)),)

    def close(self, command: CloseAccount) -> tuple[AccountClosed, ...]:
        """End the account. A freeze must be lifted before, by those who may: closing is no way around it.

        Raises AccountNotFound, AccountIsClosed, AccountIsFrozen or BalanceNotZero.
        """
        self._require_open(command)
        self._require_not_frozen()
        if self.balance:
            raise BalanceNotZero(accountId=self.account_id, balance=self.balance, currency=self.currency)
        return (AccountClosed(**_said_by(command)),)

    def apply(self, event: AccountEvent) -> "Account":
        """Return the account after `event`.

        Raises ImpossibleEvent for what would falsify the books. Who may move what while an account is frozen is policy,
        decided before the event: history stays as it was when policy changes.
        """
        self._require_possible(event)
        match event:
            case AccountCreated():
                return Account(
                    account_id=event.account_id,
                    owner_id=event.owner_id,
                    client_id=event.client_id,
                    currency=event.currency,
                    status=AccountStatus.ACTIVE,
                )
            case MoneyDeposited():
                return self._moved(event, self.balance + event.amount)
            case MoneyWithdrawn():
                return self._moved(event, self.balance - event.amount)
            case AccountFrozen():
                return replace(self, status=AccountStatus.FROZEN)
            case AccountUnfrozen():
                return replace(self, status=AccountStatus.ACTIVE)
            case AccountClosed() if self.balance == 0:
                return replace(self, status=AccountStatus.CLOSED)
        raise ImpossibleEvent(event=event, problem=f"not with a balance of {self.balance}")

    def _require_open(self, command: AccountCommand) -> None:
        if self.status is AccountStatus.NEW:
            raise AccountNotFound(accountId=command.account_id)
        if self.status is AccountStatus.CLOSED:
            raise AccountIsClosed(accountId=self.account_id)

    def _require_not_frozen(self) -> None:
        if self.status is AccountStatus.FROZEN:
            raise AccountIsFrozen(accountId=self.account_id)

    def _require_movable(self, command: Movement, *, frozen_too: bool = False) -> None:
        require_amount(command.amount)
        self._require_open(command)
        if not frozen_too:
            self._require_not_frozen()
        if command.currency != self.currency:
            raise CurrencyMismatch(accountId=self.account_id, currency=command.currency, accountCurrency=self.currency)

    def _balance_and_amount(self, command: Movement) -> dict[str, Any]:
        return {
            "accountId": self.account_id,
            "balance": self.balance,
            "amount": command.amount,
            "currency": self.currency,
        }

    def _require_possible(self, event: AccountEvent) -> None:
        is_first = self.status is AccountStatus.NEW
        if is_first is not isinstance(event, AccountCreated):
            problem = "the account was not created" if is_first else "the account was created before"
        elif self.status is AccountStatus.CLOSED:
            problem = "the account was closed"
        elif not is_first and event.account_id != self.account_id:
            problem = f"the account is {self.account_id}"
        else:
            return
        raise ImpossibleEvent(event=event, problem=problem)

    def _moved(self, event: MoneyMoved, balance: int) -> "Account":
        if event.currency != self.currency:
            raise ImpossibleEvent(event=event, problem=f"{event.currency} on an account in {self.currency}")
        if event.amount < 1 or not 0 <= balance <= MAX_AMOUNT:
            raise ImpossibleEvent(event=event, problem=f"{event.amount} makes {self.balance} to {balance}")
        # Spelled out, as most events come here: `replace` takes three times as long.
        return Account(
            account_id=self.account_id,
            owner_id=self.owner_id,
            client_id=self.client_id,
            currency=self.currency,
            balance=balance,
            status=self.status,
        )


def _said_by(command: AccountCommand) -> dict[str, Any]:
    """Return all that `command` says: its event has the same fields, so nothing said is lost."""
    names, values_of = _FIELDS[type(command)]
    return dict(zip(names, values_of(command), strict=True))


_FIELDS: Mapping[type[AccountCommand], tuple[Sequence[str], Callable[[AccountCommand], tuple[Any, ...]]]] = {
    command_class: (names := [field.name for field in fields(command_class)], attrgetter(*names))
    for command_class in (CreateAccount, DepositMoney, WithdrawMoney, FreezeAccount, UnfreezeAccount, CloseAccount)
}
"""The names of a command's fields, and what reads them all at once."""
