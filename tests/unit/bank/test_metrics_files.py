"""Processes count together: restarted, killed and forked, no count is lost or given twice."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from bank.metrics_files import Slot

COUNTING = """
import os, signal, sys
from pathlib import Path
from bank.metrics_files import share_metrics

share_metrics(directory=Path(sys.argv[1]))
from prometheus_client import Counter

done = Counter("done", "Things done.")
done.inc(int(sys.argv[2]))
if child := os.fork():
    os.waitpid(child, 0)
    done.inc()
else:
    done.inc(100)
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def closing_slots(directory: Path, number: int) -> Iterator[list[Slot]]:
    slots = [Slot(directory) for _ in range(number)]
    try:
        yield slots
    finally:
        for slot in slots:
            slot.leave()


def count_in_a_process(directory: Path, amount: int) -> None:
    """Count `amount`, 100 in a forked child and 1 after it, and die by the hardest signal."""
    process = subprocess.run([sys.executable, "-c", COUNTING, str(directory), str(amount)])
    assert process.returncode == -signal.SIGKILL


def counted(directory: Path) -> float:
    [metric] = MultiProcessCollector(None, path=str(directory)).collect()
    return sum(sample.value for sample in metric.samples if sample.name == "done_total")


def test_a_process_goes_on_counting_where_a_killed_one_stopped(tmp_path):
    with closing_slots(tmp_path, 1):
        count_in_a_process(tmp_path, 5)
        assert counted(tmp_path) == 106
        files = sorted(tmp_path.glob("*.db"))
        count_in_a_process(tmp_path, 7)
        assert counted(tmp_path) == 106 + 108
        assert sorted(tmp_path.glob("*.db")) == files


def test_when_nobody_is_left_the_next_starts_from_nothing(tmp_path):
    count_in_a_process(tmp_path, 5)
    count_in_a_process(tmp_path, 7)
    assert counted(tmp_path) == 108


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_the_living_have_different_numbers_and_the_next_takes_that_of_the_dead(tmp_path, dead):
    with closing_slots(tmp_path, 3) as slots:
        assert [slot.number for slot in slots] == [0, 1, 2]
        slots.pop(dead).leave()
        slots.append(Slot(tmp_path))
        assert slots[-1].number == dead
