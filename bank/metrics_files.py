"""How processes count together: each in files of its own, which whoever answers /metrics adds up."""

import fcntl
import os
from itertools import count
from pathlib import Path

from prometheus_client import values

from bank.embedded.server_files import is_free, lock, locked


def share_metrics(*, directory: Path) -> None:
    """Let this process, and what it forks, count in files of `directory`; to be called before any metric is made.

    Web servers and workers call it as they start. Other processes count for themselves alone, as nobody asks them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Where prometheus_client looks for the directory; it knows no other way.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(directory))
    slot = Slot(directory)
    os.register_at_fork(after_in_child=slot.change)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot.number)


class Slot:
    """A number that no other living process on this directory has: the process' files are named by it.

    It is the lowest whose lock is free, and locks end with their holders. So a process goes on counting where a dead
    one stopped: what is counted never falls, and there are no more files than there were processes at one time. Unlike
    a process id, the number is unique among containers that share the directory.

    Whoever finds that nobody is left removes all files: then everything counts from 0, which Prometheus understands.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._take()

    def leave(self) -> None:
        """Let go of the number, unless a process that this one was forked from holds it too."""
        self._lock.close()

    def change(self) -> None:
        """Take a number of one's own in place of that of the process that this one was forked from."""
        self.leave()
        self._take()

    def _take(self) -> None:
        with locked(self._directory / "gate.lock"):
            if all(is_free(held) for held in self._directory.glob("slot-*.lock")):
                for counted in self._directory.glob("*.db"):
                    counted.unlink()
            self.number = next(number for number in count() if is_free(self._path(number)))
            self._lock = lock(self._path(self.number), operation=fcntl.LOCK_EX)

    def _path(self, number: int) -> Path:
        return self._directory / f"slot-{number}.lock"
