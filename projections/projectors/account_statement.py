"""Projects every account's statement: a line for each event, with the balance it left."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from accounts.domain.account import Account, AccountStatus
from accounts.domain.events import AccountEvent
from eventstore.records import RecordedEvent
from projections.models import AccountStatement
from projections.projectors.account_streams import account_after, account_id_of, is_account_stream
from projections.statements import statement

_LAST_LINE = ("account_id", "stream_version", "event_type", "currency", "balance")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEnd:
    """Where a statement stands: the account as far as its lines tell, and its last line if that is a new one."""

    account: Account
    version: int
    line: AccountStatement | None


class AccountStatementProjector:
    """One row for each event of an account; see `projections.projector.Projector` for what each method promises."""

    name = "account_statement"

    def selects(self, *, event: RecordedEvent) -> bool:
        return is_account_stream(event.stream_id)

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, StatementEnd]:
        stream_by_account = {account_id_of(stream_id): stream_id for stream_id in stream_ids}
        return {
            stream_by_account[account_id]: StatementEnd(
                account=Account(
                    account_id=account_id,
                    currency=currency,
                    balance=balance,
                    # As a freeze forbids nothing that has happened, the end is all that the fold has to know.
                    status=AccountStatus.CLOSED if event_type == "AccountClosed" else AccountStatus.ACTIVE,
                ),
                version=version,
                line=None,
            )
            for account_id, version, event_type, currency, balance in _last_lines(list(stream_by_account))
        }

    def initial(self, *, stream_id: str) -> StatementEnd:
        return StatementEnd(account=Account(), version=0, line=None)

    def apply(self, *, state: StatementEnd, event: RecordedEvent) -> StatementEnd:
        account, decoded = account_after(state.account, event)
        return StatementEnd(account=account, version=event.version, line=_line(account, event, decoded))

    def save(self, *, histories: Sequence[Sequence[StatementEnd]]) -> None:
        AccountStatement.objects.bulk_create([end.line for history in histories for end in history if end.line])

    def delete(self, *, stream_id: str) -> None:
        AccountStatement.objects.filter(account_id=account_id_of(stream_id)).delete()


def _line(account: Account, event: RecordedEvent, decoded: AccountEvent) -> AccountStatement:
    def said(name: str) -> Any:
        return getattr(decoded, name, None)

    return AccountStatement(
        position=event.position,
        account_id=account.account_id,
        stream_version=event.version,
        event_id=event.event_id,
        event_type=event.event_type,
        amount=said("amount"),
        currency=account.currency,
        balance=account.balance,
        contra=said("contra"),
        transaction_id=said("transaction_id"),
        transfer_id=said("transfer_id"),
        counterparty=said("counterparty"),
        reason=said("reason"),
        description=decoded.description,
        metadata=dict(decoded.metadata),
        occurred_at=event.occurred_at,
    )


def _last_lines(account_ids: list[str]) -> Iterable[tuple[Any, ...]]:
    """Return the last line of each account that has one."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement("last_statement_lines"), {"account_ids": account_ids})
            return list(cursor.fetchall())
    lines = AccountStatement.objects.order_by("-stream_version").values_list(*_LAST_LINE)
    last_lines = (lines.filter(account_id=account_id).first() for account_id in account_ids)
    return [line for line in last_lines if line]
