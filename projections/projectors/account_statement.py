"""Projects every account's statement: a line for each event, with the balance it left."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from accounts.domain.account import Account, AccountStatus
from accounts.domain.events import AccountEvent, MoneyMoved
from eventstore.records import RecordedEvent
from projections.models import AccountStatement
from projections.projector import Row
from projections.projectors.account_streams import PREFIX, account_after, account_id_of
from projections.statements import rows_of, statement

_LAST_LINE = ("account_id", "stream_version", "event_type", "currency", "balance")


class StatementEnd(NamedTuple):
    """Where a statement stands: the account as far as its lines tell, and its last line if that is a new one."""

    account: Account
    version: int
    line: Row | None


class AccountStatementProjector:
    """One row for each event of an account; see `projections.projector.Projector` for what each method promises."""

    name = "account_statement"
    model = AccountStatement
    columns = (
        "position",
        "account_id",
        "stream_version",
        "event_id",
        "event_type",
        "amount",
        "currency",
        "balance",
        "contra",
        "transaction_id",
        "transfer_id",
        "counterparty",
        "reason",
        "description",
        "metadata",
        "occurred_at",
    )
    append_only = True
    stream_prefix = PREFIX
    stream_column = "account_id"

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, StatementEnd]:
        last_lines = _last_lines([account_id_of(stream_id) for stream_id in stream_ids])
        return {PREFIX + line[0]: _end(*line) for line in last_lines}

    def initial(self, *, stream_id: str) -> StatementEnd:
        return StatementEnd(account=Account(), version=0, line=None)

    def apply(self, *, state: StatementEnd, event: RecordedEvent) -> StatementEnd:
        account, decoded = account_after(state.account, event)
        return StatementEnd(account=account, version=event.version, line=_line(account, event, decoded))

    def rows(self, *, history: Sequence[StatementEnd]) -> Sequence[Row]:
        return [end.line for end in history if end.line]


def _line(account: Account, event: RecordedEvent, decoded: AccountEvent) -> Row:
    # Told apart once: most events come here, and most of them move money.
    moved = decoded if isinstance(decoded, MoneyMoved) else None
    return (
        event.position,
        account.account_id,
        event.version,
        event.event_id,
        event.event_type,
        moved.amount if moved else None,
        account.currency,
        account.balance,
        moved.contra if moved else None,
        moved.transaction_id if moved else None,
        moved.transfer_id if moved else None,
        moved.counterparty if moved else None,
        None if moved else getattr(decoded, "reason", None),
        decoded.description,
        decoded.metadata,
        event.occurred_at,
    )


def _end(account_id: str, version: int, event_type: str, currency: str, balance: int) -> StatementEnd:
    # As a freeze forbids nothing that has happened, the end is all that the fold has to know of the status.
    status = AccountStatus.CLOSED if event_type == "AccountClosed" else AccountStatus.ACTIVE
    account = Account(account_id=account_id, currency=currency, balance=balance, status=status)
    return StatementEnd(account=account, version=version, line=None)


def _last_lines(account_ids: list[str]) -> Iterable[tuple[Any, ...]]:
    """Return the last line of each account that has one."""
    if connection.vendor == "postgresql":
        return rows_of(sql=statement("last_statement_lines"), parameters={"account_ids": account_ids})
    lines = AccountStatement.objects.order_by("-stream_version").values_list(*_LAST_LINE)
    last_lines = (lines.filter(account_id=account_id).first() for account_id in account_ids)
    return [line for line in last_lines if line]
