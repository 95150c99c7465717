"""Whether an append and a load cost the same whatever the log holds: blocks touched, rows read, and time, in turns."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from benchmarks.command_runs import run_command
from benchmarks.database_server import DatabaseServer
from benchmarks.rows import Row

SECTION = "Size of the log"
SIZES = (10**5, 10**7)
VERSIONS = (10**2, 10**4, 10**6)
EVENTS_PER_STREAM = 50
TAIL_EVENTS = 50
CALLS = 200
ROUNDS = 7

# Rows made by hand, in a database that is thrown away: nothing here reads their hashes.
FILL = f"""
INSERT INTO events (position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
                    recorded_at, hash)
SELECT n, 'account-' || (n - 1) / {EVENTS_PER_STREAM}, (n - 1) %% {EVENTS_PER_STREAM} + 1, gen_random_uuid(),
       'MoneyDeposited', 2,
       '{{"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD", "transactionId": "txn-1"}}',
       '{{"actor": "bench", "correlationId": "c-1"}}', now(), now(), decode(repeat('00', 32), 'hex')
FROM generate_series(1, %(events)s) AS n
"""  # noqa: S608 - our own numbers
LENGTHEN = """
INSERT INTO events (position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
                    recorded_at, hash)
SELECT %(head)s + n, %(stream_id)s, n, gen_random_uuid(), 'MoneyDeposited', 2,
       '{"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD", "transactionId": "txn-1"}',
       '{"actor": "bench", "correlationId": "c-1"}', now(), now(), decode(repeat('00', 32), 'hex')
FROM generate_series(1, %(versions)s) AS n
"""
SNAPSHOT = """
INSERT INTO snapshots (stream_id, schema_version, version, state, hash, occurred_at, recorded_at)
VALUES (%(stream_id)s, 1, %(version)s, '{}', decode(repeat('00', 32), 'hex'), now(), now())
"""
COUNTERS = """
SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint,
       sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint
FROM pg_statio_user_tables
JOIN pg_stat_user_tables USING (relid)
"""


@dataclass(slots=True, kw_only=True)
class Cost:
    """What one kind of call took: blocks and rows of one call on average, and seconds of each."""

    blocks: float = 0.0
    rows: float = 0.0
    seconds: list[float] = field(default_factory=list)


def rows() -> Iterator[Row]:
    """Fill a log of each of SIZES, and measure appends to both and loads of longer and longer streams, in turns."""
    with ExitStack() as stack:
        logs = {size: stack.enter_context(_log(size)) for size in SIZES}
        appends = {size: Cost() for size in SIZES}
        loads = {versions: Cost() for versions in VERSIONS}
        for turn in range(ROUNDS):
            for size, alias in logs.items():
                first = turn * CALLS
                _measure(alias, appends[size], [_append(alias, first + number) for number in range(CALLS)])
            for versions in VERSIONS:
                alias = logs[max(SIZES)]
                _measure(alias, loads[versions], [_load(alias, versions)] * CALLS)
    yield from _compared("append of one event with a key", "{:,} events", appends)
    yield from _compared("load of a stream with a snapshot", "{:,} versions", loads)


@contextmanager
def _log(size: int) -> Iterator[str]:
    """Make a log of so many events in a database of its own; return its alias in Django."""
    from django.db import connections

    alias = f"log_of_{size}"
    with DatabaseServer.of_the_bank().database(alias) as bank:
        run_command(bank, "migrate", "--verbosity=0")
        connections.databases[alias] = {**connections.databases["default"], "NAME": alias}
        try:
            _fill(alias, size)
            yield alias
        finally:
            connections[alias].close()


def _fill(alias: str, size: int) -> None:
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("ALTER TABLE events DISABLE TRIGGER USER")
        cursor.execute(FILL, {"events": size})
        head = size
        for versions in VERSIONS if size == max(SIZES) else ():
            stream_id = _long_stream(versions)
            cursor.execute(LENGTHEN, {"head": head, "stream_id": stream_id, "versions": versions})
            cursor.execute(SNAPSHOT, {"stream_id": stream_id, "version": versions - TAIL_EVENTS})
            head += versions
        cursor.execute("ALTER TABLE events ENABLE TRIGGER USER")
        # Else the first readers of these rows would be those who note that they were committed.
        cursor.execute("VACUUM ANALYZE events")
        cursor.execute("CHECKPOINT")
    connections[alias].close()


def _measure(alias: str, cost: Cost, calls: list[Callable[[], None]]) -> None:
    before = _counters(alias)
    for call in calls:
        began = time.perf_counter()
        call()
        cost.seconds.append(time.perf_counter() - began)
    after = _counters(alias)
    cost.blocks += (after[0] - before[0]) / len(calls) / ROUNDS
    cost.rows += (after[1] - before[1]) / len(calls) / ROUNDS


def _counters(alias: str) -> tuple[int, int]:
    """Return blocks touched and rows read in all tables by what this session has done so far."""
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(COUNTERS)
        [counters] = cursor.fetchall()
    return int(counters[0]), int(counters[1])


def _append(alias: str, number: int) -> Callable[[], None]:
    from eventstore.chain import chain_hashes
    from eventstore.postgres import PostgresEventStore
    from eventstore.records import Appended, CommandKey, Commit, NewCommand, NewEvent, StreamAppend

    stream_id = f"account-{number}"
    event = NewEvent(
        event_id=uuid4(),
        event_type="MoneyDeposited",
        schema_version=2,
        data={"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD"},
        metadata={"actor": "bench", "correlationId": "c-1"},
        occurred_at=datetime.now(UTC),
    )
    hashes = chain_hashes(stream_id=stream_id, version=EVENTS_PER_STREAM, previous_hash=bytes(32), events=[event])
    command = NewCommand(
        key=CommandKey(scope="bench", key=str(uuid4())),
        fingerprint="bench",
        result={"status": "accepted"},
        refused=False,
    )
    stream = StreamAppend(stream_id=stream_id, expected_version=EVENTS_PER_STREAM, events=(event,), hashes=hashes)
    commit = Commit(streams=(stream,), command=command)

    def call() -> None:
        [result] = PostgresEventStore(using=alias).append([commit])
        if not isinstance(result, Appended):
            raise AssertionError(result)

    return call


def _load(alias: str, versions: int) -> Callable[[], None]:
    from eventstore.postgres import PostgresEventStore
    from eventstore.records import StreamRequest

    stream_id = _long_stream(versions)
    request = StreamRequest(stream_id=stream_id, snapshot_schema_version=1)

    def call() -> None:
        loaded = PostgresEventStore(using=alias).load([request]).streams[stream_id]
        if loaded.snapshot is None or len(loaded.tail) != TAIL_EVENTS:
            raise AssertionError(loaded)

    return call


def _long_stream(versions: int) -> str:
    return f"account-of-{versions}"


def _compared(what: str, load: str, costs: dict[int, Cost]) -> Iterator[Row]:
    smallest = costs[min(costs)]
    for size, cost in costs.items():
        milliseconds = sorted(second * 1e3 for second in cost.seconds)
        yield Row(
            section=SECTION,
            what=what,
            load=load.format(size),
            per_second=1e3 / statistics.median(milliseconds),
            p50_ms=statistics.median(milliseconds),
            p99_ms=milliseconds[int(len(milliseconds) * 0.99)],
            ratio=statistics.median(smallest.seconds) / statistics.median(cost.seconds),
            ratio_to=load.format(min(costs)),
            note=f"{cost.blocks:.1f} blocks touched and {cost.rows:.1f} rows read a call",
        )
