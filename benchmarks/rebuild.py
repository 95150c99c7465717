"""How fast read models are rebuilt while a writer, readers and a long read go on, and how long a reader waits.

`python -m benchmarks.rebuild [EVENTS] [ACCOUNTS]`, or `make bench`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from benchmarks.filled_log import fill_log
from benchmarks.rebuild_load import LONG_READ_SECONDS, load, long_read
from benchmarks.throw_away_bank import throw_away_bank

EVENTS = 1_000_000
ACCOUNTS = 20_000
SEED_EVENTS_PER_SECOND = 780
"""The rebuild of the NestJS project's read models, on two cores."""

WATCHED = ("account_summary", "account_statement")


def main() -> None:
    """Measure and print a table; every figure comes from one run on one machine."""
    events, accounts = (int(given) for given in (*sys.argv[1:], *map(str, (EVENTS, ACCOUNTS)[len(sys.argv) - 1 :])))
    with throw_away_bank():
        fill_log(events=events, accounts=accounts)
        # The first rebuild is what fills the read models.
        _replayed()
        with _run_projections(), load() as ended:
            time.sleep(3)
            runs = {
                name: _replayed(*arguments)
                for name, arguments in {
                    "all three": (),
                    "account_summary": ("account_summary",),
                    "account_statement": ("account_statement",),
                }.items()
            }
            with long_read():
                held = _replayed("account_summary")
            looks = ended()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, fsync on, ", end="")
    print(f"{events:,} events of {accounts:,} accounts; a writer, readers and the live projections go on\n")
    print(
        "| rebuild | seconds | events/s | of the seed's 780/s | s on a core | MiB at 10, 50, 90 % | longest read, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, run in (*runs.items(), (f"account_summary, behind a read of {LONG_READ_SECONDS:.0f} s", held)):
        rate = events / run.seconds
        memory = ", ".join(f"{run.memory_at(share):.0f}" for share in (0.1, 0.5, 0.9))
        longest = max(_longest(looks[table], run) for table in WATCHED)
        print(
            f"| {name} | {run.seconds:.1f} | {rate:,.0f} | {rate / SEED_EVENTS_PER_SECOND:.0f} "
            f"| {sum(run.cpu.values()):.0f} | {memory} "
            f"| {longest:.1f}; of another table {_longest(looks['another table'], run):.1f} |"
        )
    for name, run in runs.items():
        print(f"\n{name}: " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in run.phases()))


class _Run:
    """One run of the command: when each line came, and its memory."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lines: list[tuple[float, str]] = []
        self.memory: list[tuple[float, float]] = []
        self.cpu: dict[int, float] = {}
        self.ended = self.began

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    def memory_at(self, share: float) -> float:
        """Return the MiB at a share of its time."""
        return self.memory[min(int(share * len(self.memory)), len(self.memory) - 1)][1]

    def phases(self) -> Iterator[tuple[str, float]]:
        """Return what it was at, and for how long."""
        spent: dict[str, float] = {}
        moments = [(at, line.split(",")[0]) for at, line in self.lines if "rebuilt from" not in line]
        for (at, line), (then, _) in zip(moments, [*moments[1:], (self.ended, "")], strict=True):
            spent[line] = spent.get(line, 0.0) + then - at
        yield from spent.items()


def _replayed(*arguments: str) -> _Run:
    import psutil

    run = _Run()
    command = [sys.executable, "manage.py", "replay", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as process:  # noqa: S603
        watched = psutil.Process(process.pid)
        assert process.stdout is not None  # noqa: S101
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None:
            _watch(run, watched)
            while line := process.stdout.readline():
                run.lines.append((time.monotonic(), line.strip()))
            time.sleep(0.02)
    if process.returncode:
        raise AssertionError(run.lines)
    run.ended = time.monotonic()
    print(f"replay {' '.join(arguments)}: {run.seconds:.1f} s", file=sys.stderr, flush=True)
    return run


def _watch(run: _Run, process) -> None:  # type: ignore[no-untyped-def]
    """Note the memory, in MiB, and the time on a core of the process and all that it started."""
    import psutil

    total = 0.0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss / 2**20
            run.cpu[one.pid] = sum(one.cpu_times()[:2])
    run.memory.append((time.monotonic(), total))


def _longest(looks: list[tuple[float, float]], run: _Run) -> float:
    return max(seconds for at, seconds in looks if run.began <= at <= run.ended) * 1_000


@contextmanager
def _run_projections() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "run_projections"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
