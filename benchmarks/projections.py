"""How many events a second each projection takes in while it catches up: `make bench`."""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.filled_log import fill_log
from benchmarks.throw_away_bank import throw_away_bank

EVENTS = 200_000
ACCOUNTS = 10_000
"""So nearly each event of a batch is of another account, as in a big bank: the fewer, the more events share a row."""
ROUNDS = 3


def main() -> None:
    """Measure and print a table; every figure comes from one run on one machine."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, fsync on\n")
    with throw_away_bank():
        from projections.garbage import spare_the_program
        from projections.projectors import PROJECTORS

        fill_log(events=EVENTS, accounts=ACCOUNTS)
        # As a worker does.
        spare_the_program()
        print("| projection | events/s | of it in Python | waiting for PostgreSQL |")
        print("|---|---|---|---|")
        for projector in PROJECTORS:
            measured = [_catch_up(projector) for _ in range(ROUNDS)]
            print(f"| {projector.name} | {_cells(measured)} |", flush=True)


def _cells(measured: Sequence[tuple[float, float]]) -> str:
    seconds, cpu_seconds = min(measured)
    waiting = seconds - cpu_seconds
    spread = f"{EVENTS / seconds:,.0f} (median {EVENTS / statistics.median(one for one, _ in measured):,.0f})"
    return f"{spread} | {cpu_seconds / EVENTS * 1e6:.1f} µs | {waiting / EVENTS * 1e6:.1f} µs"


def _catch_up(projector: Any) -> tuple[float, float]:
    """Project the whole log from the first event; return how long that took, and how long this process worked."""
    from django.db import connection

    from projections.models import ProjectionCheckpoint
    from projections.runner import catch_up

    with connection.cursor() as cursor:
        cursor.execute(f'TRUNCATE "{projector.model._meta.db_table}"')
    ProjectionCheckpoint.objects.filter(projection=projector.name).delete()
    began, worked = time.perf_counter(), time.process_time()
    catch_up(projectors=[projector])
    return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
