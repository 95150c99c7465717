"""Who comes first where processes want the same CPUs: the database and the projections, then all others.

In a turn of projections, the worker and PostgreSQL wait for each other some ten times, and each time have to be given a
CPU. Beside web processes that want all they can get, that is most of what a read model is behind. docs/decisions.md has
figures.
"""

import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_PROCESSES = Path("/proc")
_THREADS = _PROCESSES / "self/task"
_SESSION = _PROCESSES / "self/autogroup"
_TRIES = 20
_PAUSE_SECONDS = 0.05


def step_back(*, niceness: int) -> None:
    """Have this process, and all that it starts from here on, run with that niceness, unless it has a higher one.

    Linux keeps one for each thread. Where it shares CPUs among sessions first ("autogroups" in sched(7)), these count
    within a session alone, and the session has one too: that is raised as well if the session is this program's own.
    """
    try:
        for thread in _threads():
            # It may have ended meanwhile.
            with suppress(ProcessLookupError):
                if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
                    os.setpriority(os.PRIO_PROCESS, thread, niceness)
        if _is_alone_in_its_session() and 0 <= _session_niceness() < niceness:
            _raise_session_to(niceness)
    except OSError as error:
        # Some systems forbid it. The bank works as well without.
        logger.info("This process does not step back from others, or not from all: %s", error)


def _threads() -> list[int]:
    # 0 is who asks.
    return [int(thread.name) for thread in _THREADS.iterdir()] if sys.platform == "linux" else [0]


def _is_alone_in_its_session() -> bool:
    """Tell whether the session was begun by this program: by no shell, and nothing else that starts more than this."""
    own, leader = _PROCESSES / "self/cmdline", _PROCESSES / str(os.getsid(0)) / "cmdline"
    # A container may have a session that was begun outside of it.
    return _SESSION.exists() and leader.exists() and own.read_bytes() == leader.read_bytes()


def _session_niceness() -> int:
    # "/autogroup-17 nice 0", or nothing where the session came before there were any.
    _, _, niceness = _SESSION.read_text().rpartition(" ")
    return int(niceness) if niceness else -1


def _raise_session_to(niceness: int) -> None:
    for tried in range(_TRIES):
        try:
            _SESSION.write_text(str(niceness))
            return
        except BlockingIOError:
            # On all of the machine one such wish is granted in a tenth of a second.
            if tried == _TRIES - 1:
                raise
            time.sleep(_PAUSE_SECONDS)
