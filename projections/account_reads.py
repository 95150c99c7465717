"""One account as its readers may see it: from the read model, or from the store where that is behind."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.domain.access import AccountReach
from accounts.domain.account import Account
from accounts.domain.exceptions import AccountNotFound
from accounts.repository import load_account
from eventstore.exceptions import VersionConflict
from eventstore.records import StoredState
from eventstore.store import event_store
from projections.freshness import Freshness, freshness_of
from projections.models import AccountSummary
from projections.prepared_reads import account_row
from projections.verified_columns import VERIFIED_COLUMNS, verified_columns

_COLUMNS = (
    "account_id",
    "owner_id",
    "client_id",
    "currency",
    "status",
    "balance",
    "version",
    "created_at",
    "updated_at",
)


def read_account(*, account_id: str, reach: AccountReach, min_version: int) -> tuple[Mapping[str, Any], Freshness]:
    """Return the account at `min_version` or later, and how fresh the read model is.

    It is the read model's row, or if that is behind `min_version` what the store says at once; with `min_version` 0 it
    is the row whatever its version. Raises AccountNotFound, also for an account beyond `reach`, or VersionConflict if
    the account never was at `min_version`.
    """
    row, freshness = _projected(account_id)
    if row is not None and not reach.includes(account_id=account_id, client_id=row["client_id"]):
        # From here on as if it were not there, so that not even the time that it takes tells one from the other.
        row = None
    if min_version > (row["version"] if row else 0):
        return _stored(account_id, reach, min_version, row), freshness
    if row is None:
        raise AccountNotFound(accountId=account_id)
    return row, freshness


def load_account_at(*, account_id: str, reach: AccountReach, min_version: int) -> StoredState:
    """Return the account as the store has it now, an Account in `state`.

    Raises AccountNotFound, also for an account beyond `reach`, or VersionConflict if it never was at `min_version`.
    """
    stored = load_account(account_id)
    if not stored.version or not reach.includes(account_id=account_id, client_id=stored.state.client_id):
        raise AccountNotFound(accountId=account_id)
    if stored.version < min_version:
        raise VersionConflict(stream_id=stored.stream_id, expected_version=min_version, actual_version=stored.version)
    return stored


def _projected(account_id: str) -> tuple[Mapping[str, Any] | None, Freshness]:
    if connection.vendor != "postgresql":
        rows = AccountSummary.objects.filter(account_id=account_id).annotate(**verified_columns())
        row = rows.values(*_COLUMNS, *VERIFIED_COLUMNS).first()
        return row, freshness_of(projection="account_summary")
    return account_row(account_id=account_id)


def _stored(account_id: str, reach: AccountReach, min_version: int, row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    stored = load_account_at(account_id=account_id, reach=reach, min_version=min_version)
    account: Account = stored.state
    return {
        "account_id": account.account_id,
        "owner_id": account.owner_id,
        "client_id": account.client_id,
        "currency": account.currency,
        "status": account.status.value,
        "balance": account.balance,
        "version": stored.version,
        "created_at": row["created_at"] if row else _created_at(stored.stream_id),
        "updated_at": stored.occurred_at,
        **{column: row[column] if row else None for column in VERIFIED_COLUMNS},
    }


def _created_at(stream_id: str) -> datetime:
    [creation] = event_store().read_stream(stream_id, limit=1)
    return creation.occurred_at
