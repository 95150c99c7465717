"""What becomes of a bank that is asked for more than it can do, for a minute: what it answers, keeps and remembers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil

from benchmarks.http_load import Load, offer
from benchmarks.http_rows import Scene, require_all_in_the_log
from benchmarks.rows import Row
from benchmarks.served_bank import ACCOUNTS

SECTION = "Overload"
SECONDS = 60.0
CALM_CONNECTIONS = 64
STORM_CONNECTIONS = 1_024
SAMPLE_SECONDS = 1.0
MEBIBYTE = 2**20


def rows(*, scene: Scene) -> Iterator[Row]:
    """Deposit from as many connections as do best, then from many times more for a minute, then as before.

    Each connection sends its next request once it has the last one's answer. What is answered 503 is sent again as a
    new command, so that the bank is offered all that it can refuse. Raises AssertionError if anything but 201 and 503
    is answered, if a request gets no answer, or if the log has not got exactly what was answered 201.
    """
    before = _offered(scene, CALM_CONNECTIONS, scene.seconds)
    yield _row("before", CALM_CONNECTIONS, before, before)
    with _memory_sampled() as samples:
        storm = _offered(scene, STORM_CONNECTIONS, SECONDS)
    third = max(1, len(samples) // 3)
    first, last = max(samples[:third]), max(samples[-third:])
    memory = f"the servers' memory {first:,.0f} MiB in its first third, {last:,.0f} MiB in its last"
    yield _row("the storm", STORM_CONNECTIONS, storm, before, note=memory)
    after = _offered(scene, CALM_CONNECTIONS, scene.seconds)
    yield _row("at once after it", CALM_CONNECTIONS, after, before)


def _offered(scene: Scene, connections: int, seconds: float) -> Load:
    prefix = str(uuid4())
    load = offer(
        url=scene.bank,
        kind="deposits",
        connections=connections,
        seconds=seconds,
        token=scene.token,
        prefix=prefix,
        accounts=ACCOUNTS,
        may_be_overloaded=True,
    )
    require_all_in_the_log(prefix, "deposits", load, connections)
    return load


def _row(what: str, connections: int, load: Load, before: Load, *, note: str = "") -> Row:
    answers = f"{load.overloaded:,} of {load.requests + load.overloaded:,} answered 503"
    return Row(
        section=SECTION,
        what=what,
        load=f"{connections:,} connections, {load.seconds:.0f} s",
        per_second=load.per_second,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        ratio=load.per_second / before.per_second,
        ratio_to="before",
        note=f"{answers}; {note}" if note else answers,
    )


@contextmanager
def _memory_sampled() -> Iterator[list[float]]:
    """Sample what all web servers hold in memory while the block runs, in MiB."""
    samples: list[float] = []
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(SAMPLE_SECONDS):
            samples.append(_memory_of_servers())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        is_over.set()
        thread.join()


def _memory_of_servers() -> float:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if any("bank.rsgi" in part or "bank.wsgi" in part for part in process.cmdline()):
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / MEBIBYTE
