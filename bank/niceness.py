"""Who comes first where processes want the same CPUs: the database and the projections, then the web, then jobs.

A turn of projections waits for PostgreSQL a dozen times, and each time two processes have to be given a CPU. Beside web
processes that want all they can get, that is most of what a read model is behind. docs/decisions.md has figures.
"""

import logging
import os
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_THREADS = Path("/proc/self/task")
_SESSION = Path("/proc/self/autogroup")


def step_back(*, niceness: int) -> None:
    """Have this process, and all that it starts from here on, run with that niceness, unless it has a higher one.

    Linux keeps one for each thread. Where it shares CPUs among sessions first ("autogroups" in sched(7)), these count
    within a session alone, and the session has one too: that is raised as well, except for what a terminal belongs to.
    """
    try:
        for thread in _threads():
            if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
        if _SESSION.exists() and not _has_terminal() and _session_niceness() < niceness:
            _SESSION.write_text(str(niceness))
    except OSError as error:
        # Some systems forbid it, and one that is asked twice within a moment. The bank works as well without.
        logger.info("This process keeps its niceness: %s", error)


def _threads() -> list[int]:
    # 0 is who asks.
    return [int(thread.name) for thread in _THREADS.iterdir()] if sys.platform == "linux" else [0]


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _session_niceness() -> int:
    # "/autogroup-17 nice 0"
    return int(_SESSION.read_text().rpartition(" ")[2])
