"""How many events a second the log takes, beside Message DB, and pgbench inserting the same rows, in turns."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.database_server import DatabaseServer
from benchmarks.peers.message_db import NoNpm, message_db, writes_per_second
from benchmarks.rows import Row

if TYPE_CHECKING:
    from eventstore.records import Commit

SECTION = "Events into the log"
SINGLE_ROW = """
\\set n random(1, 1000000000)
INSERT INTO pgbench_events (stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
                            recorded_at, hash)
VALUES (gen_random_uuid()::text, 1, gen_random_uuid(), 'MoneyDeposited', 2,
        '{"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD", "transactionId": "txn-1"}',
        '{"actor": "bench", "correlationId": "c-1"}', now(), now(), sha256(:n::text::bytea));
"""
"""The same row as an append's, into a table with the same columns and indexes, its position from a sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A way to write events: what it is called, how it is used, and how many events a second it does in so many."""

    what: str
    load: str
    measure: Callable[[float], float]


def rows(*, seconds: float, rounds: int) -> Iterator[Row]:
    """Measure each way in turns; ratios are to pgbench with as many clients as do best."""
    server = DatabaseServer.of_the_bank()
    _make_pgbench_table()
    with ExitStack() as stack:
        ways = [*_limits(server), *_message_db(server, stack), *_appends()]
        rates: dict[_Way, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                rates[way].append(way.measure(seconds))
    limit = max(statistics.median(rates[way]) for way in ways if way.what == "pgbench")
    for way in ways:
        rate = statistics.median(rates[way])
        yield Row(
            section=SECTION,
            what=way.what,
            load=way.load,
            per_second=rate,
            ratio=rate / limit,
            ratio_to="the best pgbench",
        )


def _limits(server: DatabaseServer) -> list[_Way]:
    return [
        _Way(what="pgbench", load=_clients(clients), measure=partial(_pgbench, server, clients))
        for clients in (1, 8, 16)
    ]


def _message_db(server: DatabaseServer, stack: ExitStack) -> list[_Way]:
    try:
        own = stack.enter_context(message_db(server=server))
    except NoNpm as missing:
        print(missing)
        return []
    return [
        _Way(
            what="Message DB, write_message",
            load=_clients(clients),
            measure=lambda seconds, clients=clients: writes_per_second(own=own, clients=clients, seconds=seconds),  # type: ignore[misc]
        )
        for clients in (1, 8, 16)
    ]


def _appends() -> list[_Way]:
    single = [(1, 1), (8, 1), (32, 1)]
    return [
        _Way(
            what=f"append, {events} event{'s' if events > 1 else ''} a call",
            load=f"{writers} thread{'s' if writers > 1 else ''}",
            measure=partial(_appended_per_second, writers, events),
        )
        for writers, events in (*single, (1, 8), (1, 128), (2, 128))
    ]


def _clients(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def _pgbench(server: DatabaseServer, clients: int, seconds: float) -> float:
    return server.pgbench(script=SINGLE_ROW, clients=clients, seconds=seconds)


def _make_pgbench_table() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE pgbench_positions")
        cursor.execute("CREATE TABLE pgbench_events (LIKE events INCLUDING ALL)")
        cursor.execute("ALTER TABLE pgbench_events ALTER position SET DEFAULT nextval('pgbench_positions')")


def _appended_per_second(writers: int, events_per_call: int, seconds: float) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        counts = list(pool.map(_append_until, [events_per_call] * writers, [began + seconds] * writers))
    return sum(counts) / (time.perf_counter() - began)


def _append_until(commits_per_call: int, until: float) -> int:
    """Append one event a commit to accounts of its own until the time is over; return how many."""
    from django.db import connection

    from eventstore.records import Appended
    from eventstore.store import event_store

    written = 0
    try:
        while time.perf_counter() < until:
            results = event_store().append([_commit() for _ in range(commits_per_call)])
            if not all(isinstance(result, Appended) for result in results):
                raise AssertionError(results)
            written += len(results)
    finally:
        connection.close()
    return written


def _commit() -> "Commit":
    from eventstore.chain import chain_hashes
    from eventstore.records import Commit, NewEvent, StreamAppend

    # Of no prefix that a projection reads: they would park what no account has.
    stream_id = f"bench-{uuid4()}"
    data = {"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD", "transactionId": "txn-1"}
    event = NewEvent(
        event_id=uuid4(),
        event_type="MoneyDeposited",
        schema_version=2,
        data=data,
        metadata={"actor": "bench", "correlationId": "c-1"},
        occurred_at=datetime.now(UTC),
    )
    hashes = chain_hashes(stream_id=stream_id, version=0, previous_hash=b"", events=[event])
    return Commit(streams=(StreamAppend(stream_id=stream_id, expected_version=0, events=(event,), hashes=hashes),))
