"""The pure decisions on transfers, as `execute` asks for them: states in, events and verdict out.

`now` is when their events occur, never before what the streams hold already: after a clock that was fast, or events
that were imported, it may be far ahead. So what is due is told by `clock`, the true time, as `due_transfers` tells it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from django.conf import settings

from accounts import event_types as account_events
from accounts.domain.account import AccountStatus
from accounts.domain.exceptions import AccountError, AccountNotFound
from accounts.domain.money import currency_exponent
from accounts.repository import account_stream_id
from eventstore.execution import NewId, States
from eventstore.records import Decision, DraftEvent, JsonObject, StoredState
from transfers import event_types as transfer_events
from transfers.domain.commands import (
    GiveUpTransfer,
    InitiateTransfer,
    ReleaseSuspense,
    ResumeTransfer,
    RetryTransfer,
    SettleTransfer,
)
from transfers.domain.events import TransferResumed, TransferStuck
from transfers.domain.exceptions import TransferError, TransferNotFound
from transfers.domain.saga import Accounts, Step, next_step, release
from transfers.domain.transfer import Transfer, TransferState
from transfers.repository import transfer_stream_id

MAX_DELAY = timedelta(hours=1)
MAX_DOUBLINGS = 20


def verdict(*, transfer: Transfer, version: int) -> tuple[JsonObject, bool]:
    """Return what is said of a transfer as it is now, and whether that is a refusal.

    `{status, transferId, state, version, sourceAccountId, destinationAccountId, amount, currency, currencyExponent}`,
    or of a FAILED transfer `{code, fields}`, with its transferId among the fields.
    """
    order = transfer.order
    if transfer.failure:
        fields = {**transfer.failure.fields, "transferId": order.transfer_id}
        return {"code": transfer.failure.code, "fields": fields}, True
    result = {
        "status": "accepted",
        "transferId": order.transfer_id,
        "state": transfer.state.value,
        "version": version,
        "sourceAccountId": order.source_account_id,
        "destinationAccountId": order.destination_account_id,
        "amount": order.amount,
        "currency": order.currency,
        "currencyExponent": currency_exponent(order.currency),
    }
    return result, False


def decide_initiation(
    states: States, command: InitiateTransfer, now: datetime, new_id: NewId, *, clock: datetime
) -> Decision:
    """Begin a transfer and go as far as the accounts in `states` allow.

    Without a source there is no transfer, not even a FAILED one: the refusal has no events.
    """
    stored = states[transfer_stream_id(command.transfer_id)]
    transfer: Transfer = stored.state
    try:
        asked = transfer.initiate(command)
    except TransferError as refusal:
        return refused(refusal)
    if not asked:
        return _decided(stored, Step(), new_id)
    if states[account_stream_id(command.source_account_id)].state.status is AccountStatus.NEW:
        return refused(AccountNotFound(accountId=command.source_account_id))
    resume_at = clock + timedelta(seconds=settings.TRANSFER_RESUME_SECONDS)
    step = next_step(transfer=transfer.apply(*asked), accounts=_accounts(states), resume_at=_iso(resume_at))
    return _decided(stored, Step(transfer=(*asked, *step.transfer), accounts=step.accounts), new_id)


def decide_settlement(states: States, command: SettleTransfer, now: datetime, new_id: NewId) -> Decision:
    """Bring the money that is in flight to an end. Raises TransferNotFound; AccountError if it has nowhere to go."""
    stored = states[transfer_stream_id(command.transfer_id)]
    if not stored.version:
        raise TransferNotFound(transferId=command.transfer_id)
    return _decided(stored, next_step(transfer=stored.state, accounts=_accounts(states), resume_at=_iso(now)), new_id)


def decide_resumption(
    states: States, command: ResumeTransfer, now: datetime, new_id: NewId, *, clock: datetime
) -> Decision:
    """Take up a transfer that has stopped, or give it up; the result tells whether it was taken up.

    An attempt is recorded before it is made, so that one that kills its process has been used up too; and whoever else
    finds the transfer leaves it alone until the next is due. It takes the transfer's progress alone.
    """
    stored = states[transfer_stream_id(command.transfer_id)]
    transfer: Transfer = stored.state
    if not transfer.is_due(clock):
        return Decision(result={"resumed": False})
    if transfer.attempts >= settings.TRANSFER_MAX_ATTEMPTS:
        return _given_up(stored, command.transfer_id, "the last attempt did not come to an end", new_id)
    # After so many doublings it is the longest delay anyway, and a few more pass what a timedelta holds.
    doublings = min(transfer.attempts, MAX_DOUBLINGS)
    delay = min(timedelta(seconds=settings.TRANSFER_RESUME_SECONDS * 2**doublings), MAX_DELAY)
    resumed = TransferResumed(
        transfer_id=command.transfer_id,
        attempt=transfer.attempts + 1,
        resume_at=_iso(clock + delay * (1 + command.jitter)),
    )
    return Decision(events={stored.stream_id: _drafts([resumed], new_id)}, result={"resumed": True})


def decide_to_give_up(states: States, command: GiveUpTransfer, now: datetime, new_id: NewId) -> Decision:
    """Leave a transfer to the operators, if its attempts are used up and it is in flight; by its progress alone."""
    stored = states[transfer_stream_id(command.transfer_id)]
    transfer: Transfer = stored.state
    if transfer.state is not TransferState.PENDING or transfer.attempts < settings.TRANSFER_MAX_ATTEMPTS:
        return Decision(result={"resumed": False})
    return _given_up(stored, command.transfer_id, command.error, new_id)


def decide_retry(states: States, command: RetryTransfer, now: datetime, new_id: NewId, *, clock: datetime) -> Decision:
    """Make a stuck transfer due again; by its progress alone."""
    stored = states[transfer_stream_id(command.transfer_id)]
    try:
        retried = stored.state.retry(command, now=clock)
    except TransferError as refusal:
        return refused(refusal)
    result = {"status": "accepted", "transferId": command.transfer_id, "state": TransferState.PENDING.value}
    return Decision(events={stored.stream_id: _drafts(retried, new_id)}, result=result)


def decide_release(states: States, command: ReleaseSuspense, now: datetime, new_id: NewId) -> Decision:
    """Pay a refund out of suspense, once."""
    stored = states[transfer_stream_id(command.transfer_id)]
    try:
        step = release(transfer=stored.state, accounts=_accounts(states), command=command)
    except (TransferError, AccountError) as refusal:
        return refused(refusal)
    drafts = _stream_drafts(stored, step, new_id)
    return Decision(events=drafts, result={"status": "accepted", "transferId": command.transfer_id})


def _decided(stored: StoredState, step: Step, new_id: NewId) -> Decision:
    after = reduce(Transfer.apply, step.transfer, stored.state)
    result, refused = verdict(transfer=after, version=stored.version + len(step.transfer))
    return Decision(events=_stream_drafts(stored, step, new_id), result=result, refused=refused)


def _given_up(stored: StoredState, transfer_id: str, error: str, new_id: NewId) -> Decision:
    stuck = TransferStuck(transfer_id=transfer_id, attempts=stored.state.attempts, error=error)
    return Decision(events={stored.stream_id: _drafts([stuck], new_id)}, result={"resumed": False})


def refused(refusal: TransferError | AccountError) -> Decision:
    """Return the verdict that `refusal` is: `{code, fields}`, and no event."""
    return Decision(result={"code": refusal.code, "fields": refusal.fields}, refused=True)


def _stream_drafts(stored: StoredState, step: Step, new_id: NewId) -> dict[str, tuple[DraftEvent, ...]]:
    drafts = {stored.stream_id: _drafts(step.transfer, new_id)}
    for account_id, events in step.accounts.items():
        stream_id = account_stream_id(account_id)
        drafts[stream_id] = tuple(account_events.draft(event=event, event_id=new_id()) for event in events)
    return drafts


def _drafts(events: Iterable[Any], new_id: NewId) -> tuple[DraftEvent, ...]:
    return tuple(transfer_events.draft(event=event, event_id=new_id()) for event in events)


def _accounts(states: States) -> Accounts:
    prefix = account_stream_id("")
    return {
        stream_id.removeprefix(prefix): stored.state
        for stream_id, stored in states.items()
        if stream_id.startswith(prefix)
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
