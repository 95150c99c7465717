"""How long a command of manage.py takes as a process of its own, how much it computes, and in how much memory."""

import os
import sys
import time
from dataclasses import dataclass
from subprocess import DEVNULL, Popen

from benchmarks.database_server import DatabaseServer


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """How long a command took, from the start of its process to the end, how long it computed, and its memory."""

    seconds: float
    processor_seconds: float
    megabytes: float


def run_command(bank: DatabaseServer, *arguments: str) -> CommandRun:
    """Run a command of manage.py on a bank to its end. Raises AssertionError if it fails."""
    address = f"postgres://{bank.user}@{bank.host}:{bank.port}/{bank.name}"
    began = time.perf_counter()
    command = [sys.executable, "manage.py", *arguments]
    process = Popen(command, env=os.environ | {"DATABASE_URL": address}, stdout=DEVNULL)  # noqa: S603 - our own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError(arguments)
    return CommandRun(
        seconds=time.perf_counter() - began,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024,
    )
