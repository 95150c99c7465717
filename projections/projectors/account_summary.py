"""Projects every account as it is now."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from accounts.domain.account import Account, AccountStatus
from eventstore.records import RecordedEvent
from projections.models import AccountSummary
from projections.projector import Row
from projections.projectors.account_streams import PREFIX, account_after, account_id_of
from projections.read_models import load_rows

_NEVER = datetime.min.replace(tzinfo=UTC)


class SummarisedAccount(NamedTuple):
    """An account, and the events that made it so: their number, the last position, the first and the last time."""

    account: Account
    version: int
    last_position: int
    created_at: datetime
    updated_at: datetime


class AccountSummaryProjector:
    """One row for each account; see `projections.projector.Projector` for what each method promises."""

    name = "account_summary"
    model = AccountSummary
    columns = (
        "account_id",
        "owner_id",
        "client_id",
        "currency",
        "status",
        "balance",
        "version",
        "last_position",
        "created_at",
        "updated_at",
    )
    append_only = False
    stream_prefix = PREFIX
    stream_column = "account_id"

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, SummarisedAccount]:
        account_ids = [account_id_of(stream_id) for stream_id in stream_ids]
        rows = load_rows(model=self.model, columns=self.columns, by="account_id", ids=account_ids)
        return {PREFIX + row[0]: _summarised(row) for row in rows}

    def initial(self, *, stream_id: str) -> SummarisedAccount:
        return SummarisedAccount(account=Account(), version=0, last_position=0, created_at=_NEVER, updated_at=_NEVER)

    def apply(self, *, state: SummarisedAccount, event: RecordedEvent) -> SummarisedAccount:
        account, _ = account_after(state.account, event)
        return SummarisedAccount(
            account=account,
            version=event.version,
            last_position=event.position,
            created_at=state.created_at if state.version else event.occurred_at,
            updated_at=event.occurred_at,
        )

    def rows(self, *, history: Sequence[SummarisedAccount]) -> Sequence[Row]:
        return [_row(history[-1])]


def _row(state: SummarisedAccount) -> Row:
    account = state.account
    return (
        account.account_id,
        account.owner_id,
        account.client_id,
        account.currency,
        account.status.value,
        account.balance,
        state.version,
        state.last_position,
        state.created_at,
        state.updated_at,
    )


def _summarised(row: Row) -> SummarisedAccount:
    account_id, owner_id, client_id, currency, status, balance, version, last_position, created_at, updated_at = row
    account = Account(
        account_id=account_id,
        owner_id=owner_id,
        client_id=client_id,
        currency=currency,
        balance=balance,
        status=AccountStatus(status),
    )
    return SummarisedAccount(
        account=account,
        version=version,
        last_position=last_position,
        created_at=created_at,
        updated_at=updated_at,
    )
