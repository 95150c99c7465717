"""An account as a stream of the event store: its id, how it is folded, and its snapshot."""

from accounts.domain.account import Account, AccountStatus
from accounts.event_types import decode
from eventstore.execution import Stream, StreamKind, load_state
from eventstore.records import JsonObject, StoredState

SNAPSHOT_SCHEMA_VERSION = 1
"""Raise it whenever the fields of Account or their meaning change: snapshots of other versions are ignored."""


def account_stream_id(account_id: str) -> str:
    """Return the id of the stream that holds the account's events."""
    return f"account-{account_id}"


def account_stream(account_id: str, *, presumed_new: bool = False) -> Stream:
    """Return the account's stream, which folds to an Account; `presumed_new` if a command is about to create it."""
    return Stream(stream_id=account_stream_id(account_id), kind=_ACCOUNTS, presumed_new=presumed_new)


def load_account(account_id: str) -> StoredState:
    """Return the account as it is now, an Account in `state`; version 0 and status NEW if there is none."""
    return load_state(stream=account_stream(account_id))


def _apply(account: Account, event_type: str, schema_version: int, data: JsonObject) -> Account:
    return account.apply(decode(event_type=event_type, schema_version=schema_version, data=data))


def _to_snapshot(account: Account) -> JsonObject:
    return {
        "accountId": account.account_id,
        "ownerId": account.owner_id,
        "clientId": account.client_id,
        "currency": account.currency,
        "balance": account.balance,
        "status": account.status.value,
    }


def _from_snapshot(state: JsonObject) -> Account:
    return Account(
        account_id=state["accountId"],
        owner_id=state["ownerId"],
        client_id=state["clientId"],
        currency=state["currency"],
        balance=state["balance"],
        status=AccountStatus(state["status"]),
    )


_ACCOUNTS = StreamKind(
    snapshot_schema_version=SNAPSHOT_SCHEMA_VERSION,
    initial=Account,
    apply=_apply,
    to_snapshot=_to_snapshot,
    from_snapshot=_from_snapshot,
)
