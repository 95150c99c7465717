"""How fast the books are verified, and in how much memory: manage.py verify as a process of its own."""

import os
import sys
from collections.abc import Iterator
from subprocess import run

from benchmarks.command_runs import CommandRun, run_command
from benchmarks.database_server import DatabaseServer
from benchmarks.rows import Row

SECTION = "Verification"
SIZES = (100_000, 1_000_000)
EVENTS_PER_ACCOUNT = 50

_FILL = """
import sys, django
django.setup()
from benchmarks.filled_log import fill_log
fill_log(events=int(sys.argv[1]), accounts=int(sys.argv[2]))
"""


def rows() -> Iterator[Row]:
    """Verify logs of each of SIZES, twice: the second time all streams have been found sound before."""
    server = DatabaseServer.of_the_bank()
    for size in SIZES:
        with server.database(f"verified_{size}") as bank:
            run_command(bank, "migrate", "--verbosity=0")
            _fill(bank, size)
            run_command(bank, "run_projections", "--once")
            yield _row("verify, for the first time", size, run_command(bank, "verify"))
            yield _row("verify again", size, run_command(bank, "verify"))


def _fill(bank: DatabaseServer, size: int) -> None:
    address = f"postgres://{bank.user}@{bank.host}:{bank.port}/{bank.name}"
    command = [sys.executable, "-c", _FILL, str(size), str(size // EVENTS_PER_ACCOUNT)]
    run(command, env=os.environ | {"DATABASE_URL": address, "DB_STATEMENT_TIMEOUT_MS": "3600000"}, check=True)  # noqa: S603 - our own


def _row(what: str, size: int, one: CommandRun) -> Row:
    note = f"{one.seconds:.1f} s, of which {one.processor_seconds:.1f} s in Python; at most {one.megabytes:.0f} MB"
    return Row(section=SECTION, what=what, load=f"{size:,} events", per_second=size / one.seconds, note=note)
