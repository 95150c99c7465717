"""How a transfer goes on: one pure function from what is known to every step that can be decided now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias, TypeVar

from accounts.domain.account import Account, AccountStatus
from accounts.domain.commands import TRANSIT, CreateAccount, DepositMoney, Movement, WithdrawMoney
from accounts.domain.events import AccountEvent
from accounts.domain.exceptions import AccountError, AccountReserved
from accounts.domain.own_accounts import OWNER, is_reserved, suspense_account_id
from transfers.domain.commands import ReleaseSuspense
from transfers.domain.events import (
    TransferCompleted,
    TransferDebited,
    TransferEvent,
    TransferFailed,
    TransferInitiated,
    TransferReleased,
)
from transfers.domain.exceptions import DestinationNotFound
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState

Accounts: TypeAlias = Mapping[str, Account]
AccountEvents: TypeAlias = Mapping[str, tuple[AccountEvent, ...]]
SomeMovement = TypeVar("SomeMovement", bound=Movement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Events to be appended together: those of the transfer, and those of accounts by account id."""

    transfer: tuple[TransferEvent, ...] = ()
    accounts: AccountEvents = field(default_factory=dict)


def next_step(*, transfer: Transfer, accounts: Accounts, resume_at: str) -> Step:
    """Return all that can be decided on `transfer` now; nothing if it has ended.

    `accounts` are those at hand, by id. With both at hand a new transfer is completed, or fails with nothing debited.
    With the source alone it is debited, to be resumed from `resume_at` if it stops there. Once it is debited, the
    destination is credited, or else, if source and suspense account are at hand too, the source is refunded, though it
    be frozen by now; what the source cannot take goes into suspense.

    Raises the AccountError that keeps the destination, and all others at hand, from taking the money in flight.
    """
    if transfer.state in IN_FLIGHT:
        return _settle(transfer.order, accounts)
    if transfer.state is not TransferState.INITIATED:
        return Step()
    if transfer.order.destination_account_id in accounts:
        return _move(transfer.order, accounts)
    return _debit(transfer.order, accounts, resume_at)


def release(*, transfer: Transfer, accounts: Accounts, command: ReleaseSuspense) -> Step:
    """Return the payment of a refund out of suspense.

    Raises NothingInSuspense, or the AccountError of the account that cannot take it.
    """
    order, suspense_id = transfer.order, transfer.suspense_account_id()
    if is_reserved(command.account_id):
        raise AccountReserved(accountId=command.account_id)
    released = TransferReleased(transfer_id=order.transfer_id, account_id=command.account_id, reason=command.reason)
    out = _leg(order, WithdrawMoney, suspense_id, counterparty=command.account_id)
    back = _leg(order, DepositMoney, command.account_id, counterparty=suspense_id)
    return Step(
        transfer=(released,),
        accounts={
            suspense_id: accounts[suspense_id].withdraw(out),
            command.account_id: accounts[command.account_id].deposit(back),
        },
    )


def _move(order: TransferInitiated, accounts: Accounts) -> Step:
    try:
        source = _withdrawal(order, accounts)
        destination = _credit(order, accounts)
    except AccountError as refusal:
        return _failed(order, refusal)
    return Step(transfer=(TransferCompleted(transfer_id=order.transfer_id),), accounts={**source, **destination})


def _debit(order: TransferInitiated, accounts: Accounts, resume_at: str) -> Step:
    try:
        source = _withdrawal(order, accounts)
    except AccountError as refusal:
        return _failed(order, refusal)
    return Step(transfer=(TransferDebited(transfer_id=order.transfer_id, resume_at=resume_at),), accounts=source)


def _settle(order: TransferInitiated, accounts: Accounts) -> Step:
    try:
        destination = _credit(order, accounts)
    except AccountError as refusal:
        if order.source_account_id not in accounts:
            raise
        return _failed(order, refusal, refund=_refund(order, accounts))
    return Step(transfer=(TransferCompleted(transfer_id=order.transfer_id),), accounts=destination)


def _failed(order: TransferInitiated, refusal: AccountError, *, refund: AccountEvents | None = None) -> Step:
    # Whoever sends money learns that the other account cannot take it, not what is on it.
    is_own = refusal.fields["accountId"] == order.source_account_id
    failed = TransferFailed(
        transfer_id=order.transfer_id,
        code=refusal.code,
        fields={name: value for name, value in refusal.fields.items() if is_own or name != "balance"},
        refunded_to=next(iter(refund), None) if refund else None,
    )
    return Step(transfer=(failed,), accounts=refund or {})


def _withdrawal(order: TransferInitiated, accounts: Accounts) -> AccountEvents:
    source_id = order.source_account_id
    leg = _leg(order, WithdrawMoney, source_id, counterparty=order.destination_account_id)
    return {source_id: accounts[source_id].withdraw(leg)}


def _credit(order: TransferInitiated, accounts: Accounts) -> AccountEvents:
    destination_id = order.destination_account_id
    if accounts[destination_id].status is AccountStatus.NEW:
        raise DestinationNotFound(accountId=destination_id)
    leg = _leg(order, DepositMoney, destination_id, counterparty=order.source_account_id)
    return {destination_id: accounts[destination_id].deposit(leg)}


def _refund(order: TransferInitiated, accounts: Accounts) -> AccountEvents:
    source_id = order.source_account_id
    leg = _leg(order, DepositMoney, source_id, counterparty=order.destination_account_id, refund=True)
    try:
        return {source_id: accounts[source_id].deposit(leg)}
    except AccountError:
        return _keep_in_suspense(order, accounts)


def _keep_in_suspense(order: TransferInitiated, accounts: Accounts) -> AccountEvents:
    suspense_id = suspense_account_id(currency=order.currency)
    suspense = accounts[suspense_id]
    opening = CreateAccount(account_id=suspense_id, owner_id=OWNER, currency=order.currency)
    opened = suspense.create(opening) if suspense.status is AccountStatus.NEW else ()
    leg = _leg(order, DepositMoney, suspense_id, counterparty=order.source_account_id)
    return {suspense_id: (*opened, *reduce(Account.apply, opened, suspense).deposit(leg))}


def _leg(
    order: TransferInitiated, kind: type[SomeMovement], account_id: str, *, counterparty: str, **more: Any
) -> SomeMovement:
    """Return one side of the transfer as a command on an account."""
    return kind(
        account_id=account_id,
        amount=order.amount,
        currency=order.currency,
        transaction_id=order.transaction_id,
        contra=TRANSIT,
        transfer_id=order.transfer_id,
        counterparty=counterparty,
        description=order.description,
        metadata=order.metadata,
        **more,
    )
