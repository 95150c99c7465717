"""Web processes of one bank take CPUs apart from each other, and let go of them as they end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bank.embedded.child_process import PROJECT_DIR

PROCESS = """
import os, sys, threading
from pathlib import Path
from bank.cpu_affinity import keep_to_one_cpu

at_work = threading.Event()
threading.Thread(target=at_work.wait, daemon=True).start()
keep_to_one_cpu(directory=Path(sys.argv[1]))
seen = []
later = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
later.start()
later.join()
found = {frozenset(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")}
assert found == {frozenset(seen[0])}, (found, seen)
print(*sorted(seen[0]), flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")


@contextmanager
def process(directory: Path, *, before: str = "") -> Iterator[set[int]]:
    """Run a process that keeps to a CPU until the block ends; return the CPUs that all its threads may use."""
    command = [sys.executable, "-c", before + PROCESS, str(directory)]
    with subprocess.Popen(command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ran:
        yield {int(cpu) for cpu in ran.stdout.readline().split()}
        ran.stdin.close()
        assert ran.wait() == 0


def test_where_it_is_forbidden_the_process_stays_free(tmp_path):
    forbidding = "import os\ndef forbid(*_): raise PermissionError('not here')\nos.sched_setaffinity = forbid\n"
    with process(tmp_path, before=forbidding) as forbidden:
        assert forbidden == os.sched_getaffinity(0)


def test_each_takes_one_of_its_own_while_there_are_any(tmp_path):
    cpus = os.sched_getaffinity(0)
    with process(tmp_path) as first:
        assert len(first) == 1 and first <= cpus
        if len(cpus) > 1:
            with process(tmp_path) as second:
                assert len(second) == 1 and not second & first
    with process(tmp_path / "another bank") as other:
        assert len(other) == 1


def test_one_that_finds_none_left_stays_free(tmp_path):
    cpus = os.sched_getaffinity(0)
    with ExitStack() as others:
        taken = [others.enter_context(process(tmp_path)) for _ in cpus]
        assert set().union(*taken) == cpus
        with process(tmp_path) as late:
            assert late == cpus
    with process(tmp_path) as after:
        assert len(after) == 1
