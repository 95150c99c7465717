"""How many events a second each projection takes in while it catches up: `make bench`."""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.filled_log import fill_log
from benchmarks.rows import Row, tell
from benchmarks.throw_away_bank import throw_away_bank

EVENTS = 200_000
ACCOUNTS = 10_000
"""So nearly each event of a batch is of another account, as in a big bank: the fewer, the more events share a row."""
ROUNDS = 3


def rows() -> Iterator[Row]:
    """Measure each projection alone, on a bank of its own."""
    with throw_away_bank():
        from projections.garbage import spare_the_program
        from projections.projectors import PROJECTORS

        fill_log(events=EVENTS, accounts=ACCOUNTS)
        # As a worker does.
        spare_the_program()
        for projector in PROJECTORS:
            yield _row(projector.name, [_catch_up(projector) for _ in range(ROUNDS)])


def _row(projection: str, measured: Sequence[tuple[float, float]]) -> Row:
    seconds, cpu_seconds = min(measured)
    median = EVENTS / statistics.median(one for one, _ in measured)
    cpu, waiting = (one / EVENTS * 1e6 for one in (cpu_seconds, seconds - cpu_seconds))
    return Row(
        section="Projections that catch up",
        what=projection,
        load=f"{EVENTS:,} events of {ACCOUNTS:,} accounts",
        per_second=EVENTS / seconds,
        note=f"the best of {ROUNDS}, median {median:,.0f}; {cpu:.1f} µs an event in Python, {waiting:.1f} µs waiting",
    )


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
    tell(rows=rows())
