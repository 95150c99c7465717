"""How fast read models are rebuilt while a writer, readers and a long read go on, and how long a reader waits.

`python -m benchmarks.rebuild [EVENTS] [ACCOUNTS]`, or `make bench`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from benchmarks.filled_log import fill_log
from benchmarks.rebuild_load import LONG_READ_SECONDS, load, long_read
from benchmarks.rows import Row, tell
from benchmarks.throw_away_bank import throw_away_bank

EVENTS = 1_000_000
ACCOUNTS = 20_000
SEED_EVENTS_PER_SECOND = 780
"""The rebuild of the NestJS project's read models, on two cores."""

WATCHED = ("account_summary", "account_statement")


def rows(*, events: int, accounts: int) -> Iterator[Row]:
    """Measure rebuilds of all and of single projections, one of them behind a long read, on a bank of its own."""
    with throw_away_bank():
        fill_log(events=events, accounts=accounts)
        # The first rebuild is what fills the read models.
        _replayed()
        with _run_projections(), load() as ended:
            time.sleep(3)
            runs = {
                "all three": _replayed(),
                "account_summary": _replayed("account_summary"),
                "account_statement": _replayed("account_statement"),
            }
            with long_read():
                runs[f"account_summary, behind a read of {LONG_READ_SECONDS:.0f} s"] = _replayed("account_summary")
            looks = ended()
    for name, run in runs.items():
        print(f"{name}: " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in run.phases()), file=sys.stderr)
        yield _row(name, run, looks, events, accounts)


def _row(name: str, run: "_Run", looks: Mapping[str, list[tuple[float, float]]], events: int, accounts: int) -> Row:
    rate = events / run.seconds
    memory = ", ".join(f"{run.memory_at(share):.0f}" for share in (0.1, 0.5, 0.9))
    longest = max(_longest(looks[table], run) for table in WATCHED)
    return Row(
        section="Rebuilds, while a writer, readers and the live projections go on",
        what=name,
        load=f"{events:,} events of {accounts:,} accounts",
        per_second=rate,
        ratio=rate / SEED_EVENTS_PER_SECOND,
        ratio_to=f"the {SEED_EVENTS_PER_SECOND}/s of the NestJS project",
        note=f"{run.seconds:.1f} s; memory at 10, 50 and 90 % of it {memory} MiB; the longest read {longest:.1f} ms, "
        f"of a table that nobody touched {_longest(looks['another table'], run):.1f} ms",
    )


class _Run:
    """One run of the command: when each line came, and its memory."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lines: list[tuple[float, str]] = []
        self.memory: list[tuple[float, float]] = []
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
    """Note the memory, in MiB, of the process and all that it started."""
    import psutil

    total = 0.0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss / 2**20
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


def main() -> None:
    """Measure a log of the size that the command line asks for."""
    given = [int(one) for one in sys.argv[1:] if one.isdigit()]
    events, accounts = (*given, *(EVENTS, ACCOUNTS)[len(given) :])
    tell(rows=rows(events=events, accounts=accounts))


if __name__ == "__main__":
    main()
