"""Processes that step back do so with all their threads, and where Linux shares CPUs among sessions, with theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bank.embedded.child_process import PROJECT_DIR

PROCESS = """
import os, sys, threading
from bank.niceness import step_back

at_work = threading.Event()
threading.Thread(target=at_work.wait, daemon=True).start()
step_back(niceness=int(sys.argv[1]))
later = threading.Thread(target=at_work.wait, daemon=True)
later.start()
threads = [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir("/proc/self/task")]
session = open("/proc/self/autogroup").read().split()[-1] if os.path.exists("/proc/self/autogroup") else "none"
print(*threads, session)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads of other systems have no niceness")

HAS_SESSIONS = Path("/proc/self/autogroup").exists()
OWN = os.getpriority(os.PRIO_PROCESS, 0)


def process(niceness: int, *, before: str = "", **options) -> tuple[set[int], str]:
    """Return the niceness of all threads of a process that stepped back, and that of its session."""
    command = [sys.executable, "-c", before + PROCESS, str(niceness)]
    ran = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True, **options)
    *threads, session = ran.stdout.split()
    assert len(threads) == 3
    return {int(thread) for thread in threads}, session


def test_all_threads_and_a_session_of_its_own_step_back():
    assert process(OWN + 1, start_new_session=True) == ({OWN + 1}, str(OWN + 1) if HAS_SESSIONS else "none")


def test_who_has_stepped_back_further_stays_there():
    before = f"import os\nos.setpriority(os.PRIO_PROCESS, 0, {OWN + 2})\n"
    assert process(OWN + 1, before=before, start_new_session=True)[0] == {OWN + 2}


def test_a_session_with_a_terminal_is_left_as_it_is():
    watching, terminal = os.openpty()
    become_its_session = (
        f"import fcntl, os, termios\nos.setsid()\nfcntl.ioctl({terminal}, termios.TIOCSCTTY, 0)\n"
        "open('/dev/tty').close()\n"
    )
    try:
        threads, session = process(OWN + 1, before=become_its_session, pass_fds=[terminal])
    finally:
        os.close(terminal)
        os.close(watching)
    assert threads == {OWN + 1}
    assert session == ("0" if HAS_SESSIONS else "none")


def test_where_it_is_forbidden_the_process_goes_on():
    forbidding = "import os\ndef forbid(*_): raise PermissionError('not here')\nos.setpriority = forbid\n"
    assert process(OWN + 1, before=forbidding)[0] == {OWN}
