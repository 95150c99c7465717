"""What is read most, on PostgreSQL: one prepared statement each, told to the client nearly as it comes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson
from django.db import DEFAULT_DB_ALIAS
from psycopg.pq.abc import PGresult

from eventstore.places import Places
from eventstore.prepared import run_prepared
from eventstore.shared_reads import SharedReads
from eventstore.waiting import connect, connection_to
from projections.freshness import Freshness
from projections.statements import statement

PAGES_AT_ONCE = 3
"""How many pages fibers ask for at once: commands need some of the few connections and threads apart that they have."""

Reader: TypeAlias = Callable[[bytes], Any]

_text: Reader = bytes.decode
_ACCOUNT: Sequence[tuple[str, Reader]] = (
    ("account_id", _text),
    ("owner_id", _text),
    ("client_id", _text),
    ("currency", _text),
    ("status", _text),
    ("balance", int),
    ("version", int),
    ("created_at", _text),
    ("updated_at", _text),
    ("verified_version", int),
    ("verified_at", _text),
)
_ENTRY: Sequence[tuple[str, Reader]] = (
    ("eventId", _text),
    ("accountId", _text),
    ("streamVersion", int),
    ("eventType", _text),
    ("amount", int),
    ("currency", _text),
    ("transactionId", _text),
    ("reason", _text),
    ("transferId", _text),
    ("counterparty", _text),
    ("description", _text),
    # It is JSON already.
    ("metadata", orjson.Fragment),
    ("balance", int),
    ("occurredAt", _text),
)


AccountRow: TypeAlias = tuple[Mapping[str, Any] | None, Freshness]


def account_row(*, account_id: str) -> AccountRow:
    """Return the account's row by its columns, None if it has none; its times are text, as the API writes them."""
    return _account_rows.get(account_id)


def _read_account_rows(account_ids: list[str]) -> list[AccountRow]:
    # As text, for psycopg takes longer to write an array than all else of a read.
    answer = _answer("account_rows", {"account_ids": orjson.dumps(account_ids).decode()})
    return [_account_row(answer, row) for row in range(answer.ntuples)]


def _account_row(answer: PGresult, row: int) -> AccountRow:
    get = answer.get_value
    freshness = Freshness(int(get(row, 0) or 0), int(get(row, 1) or 0))
    if get(row, 2) is None:
        return None, freshness
    values = (None if (value := get(row, n)) is None else read(value) for n, (_, read) in enumerate(_ACCOUNT, start=2))
    return {name: value for (name, _), value in zip(_ACCOUNT, values, strict=True)}, freshness


_account_rows = SharedReads(_read_account_rows)


_pages = Places(PAGES_AT_ONCE, name="place for a page")


def statement_page(
    *,
    account_id: str,
    client_id: str | None,
    after: int,
    begin: datetime | None,
    end: datetime | None,
    event_type: str | None,
    newest_first: bool,
    offset: int,
    limit: int,
) -> tuple[list[dict[str, Any]], int, Freshness]:
    """Return entries of a statement as the API shows them, the statement's version and how fresh it is.

    `after` is the version before the first line, in the order asked for. Of an account that is not `client_id`'s there
    is nothing, and its version is 0; with None it may be anybody's.
    """
    asked = {
        "account_id": account_id,
        "client_id": client_id,
        "after": str(after),
        "from": "-infinity" if begin is None else begin.isoformat(),
        "to": "infinity" if end is None else end.isoformat(),
        "event_type": event_type,
        "offset": str(offset),
        "limit": str(limit),
    }
    with _pages.one():
        answer = _answer("statement_newest_first" if newest_first else "statement_oldest_first", asked, patiently=False)
    get = answer.get_value
    freshness, version = Freshness(int(get(0, 0) or 0), int(get(0, 1) or 0)), int(get(0, 2) or 0)
    has_lines = get(0, 3) is not None
    return [_entry(answer, row) for row in range(answer.ntuples)] if has_lines else [], version, freshness


def _entry(answer: PGresult, row: int) -> dict[str, Any]:
    entry = {}
    get = answer.get_value
    for column, (name, read) in enumerate(_ENTRY, start=3):
        # What does not apply is null, and left out.
        if (value := get(row, column)) is not None:
            entry[name] = read(value)
    return entry


def _answer(stem: str, parameters: Mapping[str, str | None], *, patiently: bool = True) -> PGresult:
    with connection_to(DEFAULT_DB_ALIAS) as connection:
        connect(connection)
        return run_prepared(
            session=connection.connection, statement=statement(stem), parameters=parameters, patiently=patiently
        )
