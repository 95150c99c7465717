"""How far the read models are behind while deposits run at full speed."""

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.http_rows import SECTION, Scene
from benchmarks.rows import Row
from benchmarks.served_bank import wait_for_projections

SAMPLE_SECONDS = 0.05
PROJECTIONS = ("account_summary", "account_statement")


def rows(*, scene: Scene, connections: int = 64) -> Iterator[Row]:
    """Look at each projection again and again during one load: how old is what it has not seen?"""
    wait_for_projections()
    with _sampled() as ages_ms:
        load = scene.of_bank("deposits", connections)
    for projection in PROJECTIONS:
        ages = sorted(ages_ms[projection])
        yield Row(
            section=SECTION,
            what=f"age of the first event that {projection} has not seen, during deposits",
            load=f"{connections} connections",
            per_second=load.per_second,
            p50_ms=statistics.median(ages),
            p99_ms=ages[int(len(ages) * 0.99)],
            note=f"{len(ages)} looks",
        )


@contextmanager
def _sampled() -> Iterator[dict[str, list[int]]]:
    ages_ms: dict[str, list[int]] = {projection: [] for projection in PROJECTIONS}
    is_over = threading.Event()

    def sample() -> None:
        from django.db import connection

        from projections.freshness import freshness_of

        try:
            while not is_over.wait(SAMPLE_SECONDS):
                for projection, ages in ages_ms.items():
                    ages.append(freshness_of(projection=projection).age_ms)
        finally:
            connection.close()

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield ages_ms
    finally:
        is_over.set()
        sampling.join()
