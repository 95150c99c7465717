"""Projects every account as it is now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.domain.account import Account, AccountStatus
from eventstore.records import RecordedEvent
from projections.models import AccountSummary
from projections.projectors.account_streams import account_after, account_id_of, is_account_stream

_NEVER = datetime.min.replace(tzinfo=UTC)

_COLUMNS = (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarisedAccount:
    """An account, and the events that made it so: their number, the last position, the first and the last time."""

    account: Account
    version: int
    last_position: int
    created_at: datetime
    updated_at: datetime


class AccountSummaryProjector:
    """One row for each account; see `projections.projector.Projector` for what each method promises."""

    name = "account_summary"

    def selects(self, *, event: RecordedEvent) -> bool:
        return is_account_stream(event.stream_id)

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, SummarisedAccount]:
        stream_by_account = {account_id_of(stream_id): stream_id for stream_id in stream_ids}
        rows = AccountSummary.objects.filter(account_id__in=list(stream_by_account))
        return {
            stream_by_account[row.account_id]: SummarisedAccount(
                account=Account(
                    account_id=row.account_id,
                    owner_id=row.owner_id,
                    client_id=row.client_id,
                    currency=row.currency,
                    balance=row.balance,
                    status=AccountStatus(row.status),
                ),
                version=row.version,
                last_position=row.last_position,
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
            for row in rows
        }

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

    def save(self, *, histories: Sequence[Sequence[SummarisedAccount]]) -> None:
        AccountSummary.objects.bulk_create(
            [_row(history[-1]) for history in histories],
            update_conflicts=True,
            unique_fields=["account_id"],
            update_fields=_COLUMNS,
        )

    def delete(self, *, stream_id: str) -> None:
        AccountSummary.objects.filter(account_id=account_id_of(stream_id)).delete()


def _row(state: SummarisedAccount) -> AccountSummary:
    account = state.account
    return AccountSummary(
        account_id=account.account_id,
        owner_id=account.owner_id,
        client_id=account.client_id,
        currency=account.currency,
        status=account.status.value,
        balance=account.balance,
        version=state.version,
        last_position=state.last_position,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )
