"""Each process of a web server keeps to a CPU of its own.

Its threads take turns with Python, so that more CPUs than one are of no use to them. Left to itself, the kernel spreads
them all the same: with every turn, all that Python works on moves from the cache of one CPU to that of another, and who
waits is woken from afar. docs/decisions.md has what that costs.
"""

import fcntl
import logging
import os
import random
import threading
from pathlib import Path
from typing import IO

from bank.embedded.server_files import lock

logger = logging.getLogger(__name__)

_held: list[IO[bytes]] = []


def keep_to_one_cpu(*, directory: Path) -> None:
    """Have this process, and what it starts from here on, run on one of its CPUs that no other process has taken.

    Processes that share `directory` agree there by locks, which end with their holders. One that finds no CPU left
    stays free, as on systems that have no affinity. Which it takes is left to chance: banks on one machine seldom meet.
    """
    if not hasattr(os, "sched_setaffinity") or _held:
        return
    cpus = list(os.sched_getaffinity(0))
    directory.mkdir(parents=True, exist_ok=True)
    random.shuffle(cpus)
    for cpu in cpus:
        try:
            _held.append(lock(directory / f"cpu-{cpu}.lock", operation=fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            continue
        try:
            _bind_threads(cpu)
        except OSError as error:
            # Containers may forbid it. The bank works as well without, only slower.
            logger.warning("This process cannot keep to a CPU: %s", error)
        return


def _bind_threads(cpu: int) -> None:
    # The kernel knows of threads alone; those that start later take after the one that starts them.
    for thread in threading.enumerate():
        if thread.native_id:
            os.sched_setaffinity(thread.native_id, {cpu})
