"""Puts account events into the log, with no rule in their way, and folds the log again by arithmetic alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from accounts.domain.events import AccountCreated, AccountEvent, MoneyDeposited, MoneyWithdrawn
from accounts.event_types import encode
from accounts.repository import account_stream_id
from eventstore.records import Appended, Commit, JsonObject, RecordedEvent, StreamAppend
from eventstore.store import event_store
from projections.models import AccountStatement, AccountSummary
from projections.projectors import PROJECTORS
from tests.factories import NewEventFactory, StreamAppendFactory

ACCOUNT_PROJECTORS = tuple(projector for projector in PROJECTORS if projector.name.startswith("account_"))
"""Those that read the streams of accounts."""


def new_account_id() -> str:
    return f"acc-{uuid4()}"


def created(account_id: str, **said: Any) -> AccountCreated:
    return AccountCreated(account_id=account_id, **{"owner_id": "user-1", "currency": "USD", **said})


def deposited(account_id: str, amount: int, **said: Any) -> MoneyDeposited:
    return MoneyDeposited(account_id=account_id, amount=amount, **{"currency": "USD", "contra": "external", **said})


def withdrawn(account_id: str, amount: int, **said: Any) -> MoneyWithdrawn:
    return MoneyWithdrawn(account_id=account_id, amount=amount, **{"currency": "USD", "contra": "external", **said})


def account_append(*events: AccountEvent, after: StreamAppend | None = None) -> StreamAppend:
    """Return the append of `events` to their account: a new one, or the one that `after` left."""
    return stored_append(account_stream_id(events[0].account_id), map(encode, events), after=after)


def stored_append(
    stream_id: str, encoded: Iterable[tuple[str, int, JsonObject]], *, after: StreamAppend | None
) -> StreamAppend:
    """Return the append of events to a stream, each by its stored name, schema version and data."""
    stored = [NewEventFactory.build(event_type=t, schema_version=v, data=data) for t, v, data in encoded]
    return StreamAppendFactory.build(stream_id=stream_id, after=after, events=tuple(stored))


def append(*appends: StreamAppend) -> None:
    """Write each append as a commit of its own, in one call."""
    results = event_store().append([Commit(streams=(one,)) for one in appends])
    assert [type(result) for result in results] == [Appended] * len(appends)


def record(*events: AccountEvent, after: StreamAppend | None = None) -> StreamAppend:
    """Append `events` to their account and return what was appended."""
    made = account_append(*events, after=after)
    append(made)
    return made


def busy_account(number_of_events: int) -> StreamAppend:
    """Return the append of a new account with many movements up and down."""
    account_id = new_account_id()
    movements = [
        withdrawn(account_id, 7) if number % 3 == 2 else deposited(account_id, 5 + number)
        for number in range(number_of_events - 1)
    ]
    return account_append(created(account_id), *movements)


def events_of(stream_id: str) -> list[RecordedEvent]:
    return event_store().read_stream(stream_id, limit=100_000)


def assert_read_models_match(stream_ids: Sequence[str]) -> None:
    """Compare summary and statement of these accounts with what their events add up to."""
    for stream_id in stream_ids:
        for projector in ACCOUNT_PROJECTORS:
            assert_rows_match(projector.name, stream_id, events_of(stream_id))


def assert_rows_match(projection: str, stream_id: str, events: Sequence[RecordedEvent]) -> None:
    """Compare an account's rows in one read model with what these events of it add up to."""
    lines = list(_lines(events))
    expected = lines if projection == "account_statement" else [_summary(events, lines)] if events else []
    assert rows_of(projection, stream_id) == expected, (projection, stream_id)


def rows_of(projection: str, stream_id: str) -> list[tuple[Any, ...]]:
    """Return an account's rows in one read model, each beginning with the version that it knows."""
    account_id = stream_id.removeprefix("account-")
    if projection == "account_statement":
        rows = AccountStatement.objects.filter(account_id=account_id).order_by("stream_version")
        return list(rows.values_list(*LINE_COLUMNS))
    return list(AccountSummary.objects.filter(account_id=account_id).values_list(*SUMMARY_COLUMNS))


LINE_COLUMNS = ("stream_version", "position", "event_id", "event_type", "amount", "balance", "occurred_at")
SUMMARY_COLUMNS = ("version", "last_position", "owner_id", "currency", "balance", "created_at", "updated_at")


def _lines(events: Sequence[RecordedEvent]) -> Iterator[tuple[Any, ...]]:
    balance = 0
    for event in events:
        amount = event.data.get("amount")
        balance += {"MoneyDeposited": 1, "MoneyWithdrawn": -1}.get(event.event_type, 0) * (amount or 0)
        yield (event.version, event.position, event.event_id, event.event_type, amount, balance, event.occurred_at)


def _summary(events: Sequence[RecordedEvent], lines: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    first, last, balance = events[0], events[-1], lines[-1][5]
    owner_id, currency = first.data["ownerId"], first.data["currency"]
    return (last.version, last.position, owner_id, currency, balance, first.occurred_at, last.occurred_at)
