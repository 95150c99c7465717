"""A log of many events, written at once: no command decides them, but the books are right and every chain holds."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

EVENTS_PER_COPY = 50_000
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
METADATA = '{"actor": "bench", "correlationId": "7f3c9a51-3c58-4b0e-9c0f-0d6a1f5f2d11", "requestId": "3c58"}'
COLUMNS = (
    "position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at, recorded_at, hash"
)


@dataclass(slots=True)
class _Account:
    account_id: str
    version: int = 0
    balance: int = 0
    hash: bytes = b""


def fill_log(*, events: int, accounts: int, seed: int = 4711) -> None:
    """Write `events` of `accounts`, mixed as if they had come from many clients, into the empty log of a bank's own.

    It takes a superuser: the triggers that refuse everybody else are off for it.
    """
    import psycopg
    from django.db import connection

    rows = _rows(events, accounts, random.Random(seed))  # noqa: S311 - a figure, not a secret
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    with psycopg.Cursor(connection.connection) as cursor:
        with cursor.copy(f"COPY events ({COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    with connection.cursor() as cursor:
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM ANALYZE events")


def _rows(events: int, accounts: int, dice: random.Random) -> Iterator[tuple[object, ...]]:
    import orjson

    from eventstore.chain import chain_hashes
    from eventstore.records import NewEvent

    metadata = orjson.loads(METADATA)
    books = [_Account(f"acc-{number:07d}") for number in range(accounts)]
    for position in range(1, events + 1):
        # Each is opened once; after that, who moves money is a matter of luck.
        account = books[position - 1] if position <= accounts else dice.choice(books)
        event_type, schema_version, data = _happening(account, position, dice)
        occurred_at = BEGINNING + timedelta(milliseconds=17 * position)
        event = NewEvent(
            event_id=UUID(int=dice.getrandbits(128), version=4),
            event_type=event_type,
            schema_version=schema_version,
            data=data,
            metadata=metadata,
            occurred_at=occurred_at,
        )
        stream_id = f"account-{account.account_id}"
        [account.hash] = chain_hashes(
            stream_id=stream_id, version=account.version, previous_hash=account.hash, events=[event]
        )
        account.version += 1
        yield (
            *(position, stream_id, account.version, event.event_id, event_type, schema_version),
            *(orjson.dumps(data).decode(), METADATA, occurred_at, occurred_at, account.hash),
        )


def _happening(account: _Account, position: int, dice: random.Random) -> tuple[str, int, dict[str, object]]:
    if account.version == 0:
        data = {"accountId": account.account_id, "ownerId": f"user-{position % 5_000}", "currency": "USD"}
        return "AccountCreated", 1, data
    amount = dice.randint(1, 10_000)
    takes = account.balance >= amount and dice.random() < 0.4
    account.balance += -amount if takes else amount
    data = {
        "accountId": account.account_id,
        "amount": amount,
        "contra": "external",
        "currency": "USD",
        "transactionId": f"txn-{position}",
    }
    return "MoneyWithdrawn" if takes else "MoneyDeposited", 2, data
