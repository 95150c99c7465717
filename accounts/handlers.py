"""One function per command: each executes it on its account's stream, through one pure `decide`.

`reach` are the accounts of whoever sent the command. All others look to it as if they were not there, also in the
verdicts that are kept under its keys.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial, reduce
from typing import Any, TypeAlias

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.domain.account import Account, AccountStatus
from accounts.domain.commands import (
    AccountCommand,
    CloseAccount,
    CreateAccount,
    DepositMoney,
    FreezeAccount,
    UnfreezeAccount,
    WithdrawMoney,
)
from accounts.domain.events import AccountEvent
from accounts.domain.exceptions import AccountError, AccountExists, AccountNotFound, AccountReserved
from accounts.domain.money import currency_exponent
from accounts.domain.own_accounts import is_reserved
from accounts.event_types import draft
from accounts.repository import account_stream, account_stream_id
from eventstore.execution import Execution, NewId, States, carry_out
from eventstore.records import CommandContext, Decision, Outcome

Rule: TypeAlias = Callable[[Account, Any], tuple[AccountEvent, ...]]

RULES: Mapping[type[AccountCommand], Rule] = {
    CreateAccount: Account.create,
    DepositMoney: Account.deposit,
    WithdrawMoney: Account.withdraw,
    FreezeAccount: Account.freeze,
    UnfreezeAccount: Account.unfreeze,
    CloseAccount: Account.close,
}


def create_account(*, command: CreateAccount, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Outcome:
    """Open an account."""
    return _execute(command, context, reach)


def deposit_money(*, command: DepositMoney, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Outcome:
    """Add money to an account."""
    return _execute(command, context, reach)


def withdraw_money(*, command: WithdrawMoney, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Outcome:
    """Take money from an account."""
    return _execute(command, context, reach)


def freeze_account(*, command: FreezeAccount, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Outcome:
    """Stop all movements of an account."""
    return _execute(command, context, reach)


def unfreeze_account(
    *, command: UnfreezeAccount, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT
) -> Outcome:
    """Allow movements of an account again."""
    return _execute(command, context, reach)


def close_account(*, command: CloseAccount, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Outcome:
    """End an account."""
    return _execute(command, context, reach)


def decide(states: States, command: AccountCommand, now: datetime, new_id: NewId) -> Decision:
    """Return what becomes of `command` on its account, a refusal included; pure, so it can be asked again and again.

    An accepted command's result is `{status, accountId, eventId, version, balance, currency, currencyExponent}`, with
    the last event's id; a refused one's is `{code, fields}`.
    """
    stored = states[account_stream_id(command.account_id)]
    account: Account = stored.state
    try:
        events = RULES[type(command)](account, command)
    except AccountError as refusal:
        return refused(refusal)
    drafts = tuple(draft(event=event, event_id=new_id()) for event in events)
    after = reduce(Account.apply, events, account)
    result = {
        "status": "accepted",
        "accountId": after.account_id,
        "eventId": str(drafts[-1].event_id),
        "version": stored.version + len(drafts),
        "balance": after.balance,
        "currency": after.currency,
        "currencyExponent": currency_exponent(after.currency),
    }
    return Decision(events={stored.stream_id: drafts}, result=result)


def refused(refusal: AccountError) -> Decision:
    """Return the verdict that `refusal` is: `{code, fields}`, and no event."""
    return Decision(result={"code": refusal.code, "fields": refusal.fields}, refused=True)


def execution(*, command: AccountCommand, context: CommandContext, reach: AccountReach = EVERY_ACCOUNT) -> Execution:
    """Return what any of these commands is to the event store."""
    return Execution(
        streams=[account_stream(command.account_id, presumed_new=isinstance(command, CreateAccount))],
        command=command,
        decide=decide,
        context=context,
        permit=partial(_permit, command, reach),
    )


def _execute(command: AccountCommand, context: CommandContext, reach: AccountReach) -> Outcome:
    return carry_out(execution=execution(command=command, context=context, reach=reach))


def _permit(command: AccountCommand, reach: AccountReach, states: States) -> Decision | None:
    """Return the refusal that keeps the sender of `command` from its account: it is the bank's own, or beyond `reach`.

    Of one that is beyond reach nothing is told, not even whether there is such an account.
    """
    if is_reserved(command.account_id):
        return refused(AccountReserved(accountId=command.account_id))
    account: Account = states[account_stream_id(command.account_id)].state
    if reach.includes(account_id=command.account_id, client_id=account.client_id):
        return None
    if not isinstance(command, CreateAccount):
        return refused(AccountNotFound(accountId=command.account_id))
    if account.status is not AccountStatus.NEW:
        return refused(AccountExists(accountId=command.account_id))
    return None
