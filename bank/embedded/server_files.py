"""The files of one embedded server, through which processes agree who uses it and who stops it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class ServerFiles:
    """What lies in the directory of one embedded server.

    The locks are flock(2) locks: the kernel lets go of them when their holder ends, however it ends. So none of them
    can be stale, and each says something true:

    - `gate`: one process at a time decides whether the server must be started, or whether it was its last user
    - `users`: shared by every process that uses the server; exclusive while the supervisor stops it
    - `supervisor`: held by the living supervisor
    - `processes`: inherited by the server and all its children, so that it is free only if none of them is left

    `address` holds the server's URL, and exists only while its supervisor holds it ready; after a crash it may be left
    over, so it counts only while `supervisor` is held.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.gate = directory / "gate.lock"
        self.users = directory / "users.lock"
        self.supervisor = directory / "supervisor.lock"
        self.processes = directory / "processes.lock"
        self.address = directory / "address"
        self.data = directory / "data"
        self.log = directory / "log"

    def has_supervisor(self) -> bool:
        """Say whether a supervisor lives."""
        return not is_free(self.supervisor)


def lock(path: Path, *, operation: int) -> IO[bytes]:
    """Return the opened file `path`, locked; closing it unlocks. Raises BlockingIOError with LOCK_NB."""
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, operation)
            # Its last holder may have removed it; then whoever comes later locks another file of that name.
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` exclusively."""
    with lock(path, operation=fcntl.LOCK_EX):
        yield


def is_free(path: Path, *, operation: int = fcntl.LOCK_EX) -> bool:
    """Say whether `path` could be locked at this moment; a file that does not exist is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
