"""Processes that step back do so with all their threads, and where Linux shares CPUs among sessions, with theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bank import niceness
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
print(*threads, session, flush=True)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads of other systems have no niceness")

HAS_SESSIONS = Path("/proc/self/autogroup").exists()
OWN = os.getpriority(os.PRIO_PROCESS, 0)


def process(wanted: int, *, before: str = "", through: tuple[str, ...] = ()) -> tuple[set[int], str]:
    """Return the niceness of all threads of a process that stepped back, and that of the new session it was begun in.

    The session of the tests themselves may be shared with who knows what, and have no niceness to tell.
    """
    command = [*through, sys.executable, "-c", before + PROCESS, str(wanted)]
    ran = subprocess.run(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
    )
    *threads, session = ran.stdout.split()
    assert len(threads) == 3
    return {int(thread) for thread in threads}, session


def session_at(wanted: int) -> str:
    return str(wanted) if HAS_SESSIONS else "none"


def test_all_threads_and_a_session_of_its_own_step_back():
    assert process(OWN + 1) == ({OWN + 1}, session_at(OWN + 1))


def test_so_do_the_processes_that_a_server_forks():
    fork = "import os, sys\nif child := os.fork():\n    sys.exit(os.waitpid(child, 0)[1])\n"
    assert process(OWN + 1, before=fork) == ({OWN + 1}, session_at(OWN + 1))


def test_who_has_stepped_back_further_stays_there():
    before = f"import os\nos.setpriority(os.PRIO_PROCESS, 0, {OWN + 2})\n"
    assert process(OWN + 1, before=before)[0] == {OWN + 2}


def test_a_session_that_a_shell_began_is_left_as_it_is():
    # It has more to do after this, so that it does not become the process itself.
    shell = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
    assert process(OWN + 1, through=shell) == ({OWN + 1}, session_at(0))


def test_where_it_is_forbidden_the_process_goes_on():
    forbidding = "import os\ndef forbid(*_): raise PermissionError('not here')\nos.setpriority = forbid\n"
    assert process(OWN + 1, before=forbidding) == ({OWN}, session_at(0))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [("", ""), ("/autogroup-17 nice 0\n", "3"), ("/autogroup-17 nice 5\n", "/autogroup-17 nice 5\n")],
)
def test_a_session_is_raised_from_less_and_if_it_shares_at_all(monkeypatch, tmp_path, shown, expected):
    session = tmp_path / "autogroup"
    session.write_text(shown)
    monkeypatch.setattr(niceness, "_SESSION", session)
    monkeypatch.setattr(niceness, "_threads", list)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    niceness.step_back(niceness=3)
    assert session.read_text() == expected


def test_a_wish_that_the_machine_puts_off_is_repeated(monkeypatch):
    answers = iter([BlockingIOError(), BlockingIOError(), None])

    class Session:
        """One that grants the third wish."""

        def write_text(self, text: str) -> None:
            if answer := next(answers):
                raise answer

    monkeypatch.setattr(niceness, "_SESSION", Session())
    monkeypatch.setattr(niceness, "_PAUSE_SECONDS", 0)
    niceness._raise_session_to(3)
    assert list(answers) == []
