"""One function per command on transfers, each a few lines around `execute`."""

import logging
import random
from datetime import UTC, datetime
from functools import partial

from django.conf import settings

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.domain.account import Account
from accounts.domain.exceptions import AccountError, AccountNotFound
from accounts.domain.own_accounts import suspense_account_id
from accounts.repository import account_stream, account_stream_id
from eventstore.execution import Execution, States, carry_out, execute
from eventstore.records import CommandContext, CommandKey, Decision, Outcome
from eventstore.store import event_store
from transfers.decisions import (
    decide_initiation,
    decide_release,
    decide_resumption,
    decide_retry,
    decide_settlement,
    decide_to_give_up,
    refused,
    verdict,
)
from transfers.domain.commands import (
    GiveUpTransfer,
    InitiateTransfer,
    ReleaseSuspense,
    ResumeTransfer,
    RetryTransfer,
    SettleTransfer,
)
from transfers.domain.events import TransferInitiated
from transfers.domain.exceptions import TransferNotFound
from transfers.domain.transfer import Transfer
from transfers.repository import load_transfer, progress_stream, transfer_stream, transfer_stream_id

logger = logging.getLogger(__name__)

SAGA_SCOPE = "saga"
"""The scope of the keys under which the bank itself does the steps of transfers; no client's keys are in it."""


def initiate_transfer(
    *, command: InitiateTransfer, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT
) -> Outcome:
    """Begin a transfer and do all of it that can be done now. A replay tells how the transfer stands at present.

    `reach` are the accounts of whoever sent the command: the source must be among them, the destination need not.

    The result is that of `transfers.decisions.verdict`; a FAILED transfer is a refusal. So is `account_not_found`, if
    there is no such source: then there is no transfer, and nothing but the verdict is kept, under the command's key.
    """
    outcome = carry_out(execution=initiation(command=command, context=context, reach=reach))
    return brought_on(command=command, outcome=outcome, context=context)


def initiation(
    *,
    command: InitiateTransfer,
    context: CommandContext,
    reach: AccountReach = EVERY_ACCOUNT,
    in_one_step: bool = False,
) -> Execution:
    """Return what begins a transfer; `in_one_step` it also ends it, whatever settings.TRANSFER_STEPS says."""
    streams = [transfer_stream(command.transfer_id, presumed_new=True), account_stream(command.source_account_id)]
    if in_one_step or settings.TRANSFER_STEPS == "together":
        streams.append(account_stream(command.destination_account_id))
    return Execution(
        streams=streams,
        command=command,
        decide=partial(decide_initiation, clock=datetime.now(UTC)),
        context=context,
        permit=partial(_permit, command, reach),
    )


def brought_on(*, command: InitiateTransfer, outcome: Outcome, context: CommandContext) -> Outcome:
    """Do what can be done at once of a transfer that has begun, and return how it stands then."""
    if outcome.refused:
        return outcome
    # Whatever has not ended may have gone on since, one that was STUCK as well.
    if outcome.replayed and outcome.result["state"] != "COMPLETED":
        return as_it_stands(outcome=outcome)
    if outcome.result["state"] != "PENDING":
        return outcome
    try:
        settled = _settle(outcome.result["transferId"], context)
    except Exception:
        # The money is in flight and the log knows it: whatever is wrong here, the transfer is resumed later.
        logger.exception("transfer %s stopped on its way", command.transfer_id)
        return outcome
    return settled._replace(replayed=False)


def resume_transfer(*, transfer_id: str) -> Transfer:
    """Take up a transfer if it has stopped, and return what it has come to. Raises what `take_up_transfer` raises."""
    take_up_transfer(transfer_id=transfer_id)
    transfer: Transfer = load_transfer(transfer_id).state
    return transfer


def take_up_transfer(*, transfer_id: str) -> None:
    """Go on with a transfer if it has stopped.

    What keeps it from going on is logged, and tried again later: each time after twice as long, until it is STUCK. That
    its own history cannot be read is no exception.
    Raises TransferNotFound, and what `execute` raises while the attempt is recorded.
    """
    context = _context_of_saga(transfer_id)
    taking_up = ResumeTransfer(transfer_id=transfer_id, jitter=random.random())  # noqa: S311
    decide = partial(decide_resumption, clock=datetime.now(UTC))
    outcome = execute(streams=[progress_stream(transfer_id)], command=taking_up, decide=decide, context=context)
    if not outcome.result["resumed"]:
        return
    try:
        _settle(transfer_id, context)
    except Exception as error:
        logger.exception("transfer %s could not be resumed", transfer_id)
        _give_up_if_hopeless(transfer_id, error, context)


def as_it_stands(*, outcome: Outcome) -> Outcome:
    """Return an accepted verdict on a transfer as it would be given now, with the position of the last event then."""
    stored = load_transfer(outcome.result["transferId"])
    if stored.version == outcome.result["version"]:
        return outcome
    result, refused = verdict(transfer=stored.state, version=stored.version)
    [last] = event_store().read_stream(stored.stream_id, after_version=stored.version - 1, limit=1)
    return outcome._replace(result=result, refused=refused, last_position=last.position)


def retry_transfer(*, command: RetryTransfer, context: CommandContext) -> Outcome:
    """Have a stuck transfer resumed again: it is due at once."""
    streams = [progress_stream(command.transfer_id)]
    decide = partial(decide_retry, clock=datetime.now(UTC))
    return execute(streams=streams, command=command, decide=decide, context=context)


def release_suspense(*, command: ReleaseSuspense, context: CommandContext) -> Outcome:
    """Pay a refund that its source could not take out of suspense, once. Raises TransferNotFound."""
    order = _order(command.transfer_id)
    # In the order in which the log shall have their legs. They may be one and the same, which the rules then refuse.
    accounts = dict.fromkeys([suspense_account_id(currency=order.currency), command.account_id])
    streams = [transfer_stream(command.transfer_id), *map(account_stream, accounts)]
    return execute(streams=streams, command=command, decide=decide_release, context=context)


def _permit(command: InitiateTransfer, reach: AccountReach, states: States) -> Decision | None:
    """Return what is told of a source beyond `reach`: the same whether there is such an account or not."""
    source_id = command.source_account_id
    source: Account = states[account_stream_id(source_id)].state
    if reach.includes(account_id=source_id, client_id=source.client_id):
        return None
    return refused(AccountNotFound(accountId=source_id))


def _settle(transfer_id: str, context: CommandContext) -> Outcome:
    """Do the second of two steps, under a key of the bank's own: however often it is tried, it happens once.

    It is told of and happens as `context` has it.
    """
    order = _order(transfer_id)
    destination_id, source_id = order.destination_account_id, order.source_account_id
    try:
        # A credit depends on the destination alone: whatever else happens to the source is no conflict.
        return _settle_among([destination_id], transfer_id, context)
    except AccountError:
        accounts = [source_id, destination_id, suspense_account_id(currency=order.currency)]
        return _settle_among(accounts, transfer_id, context)


def _settle_among(account_ids: list[str], transfer_id: str, context: CommandContext) -> Outcome:
    return execute(
        streams=[transfer_stream(transfer_id), *map(account_stream, account_ids)],
        command=SettleTransfer(transfer_id=transfer_id),
        decide=decide_settlement,
        context=CommandContext(
            key=CommandKey(SAGA_SCOPE, f"{transfer_id}:settle"),
            fingerprint="settle",
            metadata=context.metadata,
            occurred_at=context.occurred_at,
        ),
    )


def _give_up_if_hopeless(transfer_id: str, error: Exception, context: CommandContext) -> None:
    # What an error says may be any text; its representation is text that the log can keep.
    giving_up = GiveUpTransfer(transfer_id=transfer_id, error=repr(error)[:1000])
    execute(streams=[progress_stream(transfer_id)], command=giving_up, decide=decide_to_give_up, context=context)


def _order(transfer_id: str) -> TransferInitiated:
    transfer: Transfer = load_transfer(transfer_id).state
    if transfer.initiated is None:
        raise TransferNotFound(transferId=transfer_id)
    return transfer.initiated


def _context_of_saga(transfer_id: str) -> CommandContext:
    """Return what ties the events of a resumed transfer to the request that began it. Raises TransferNotFound."""
    first = event_store().read_stream(transfer_stream_id(transfer_id), limit=1)
    if not first:
        raise TransferNotFound(transferId=transfer_id)
    correlation = {name: first[0].metadata[name] for name in ("correlationId",) if name in first[0].metadata}
    return CommandContext(metadata={"actor": SAGA_SCOPE, "causationId": str(first[0].event_id), **correlation})
