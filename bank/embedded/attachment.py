"""The user's side of an embedded server: attach to the one that runs or start it, and let go of it."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from bank.embedded.child_process import PROJECT_DIR
from bank.embedded.server_files import ServerFiles, is_free, lock, locked

ATTACH_PATIENCE_SECONDS = 90.0
DETACH_PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02


class EmbeddedServerFailed(Exception):
    """An embedded server could not be started; the text is for the person at the terminal."""


class Attachment:
    """This process's use of one embedded server at `url`: it runs at least until `detach`, or the end of the process.

    Raises EmbeddedServerFailed if the server does not come up.
    """

    def __init__(self, *, kind: str, directory: Path, throw_away: bool = False) -> None:
        self.kind = kind
        self.files = ServerFiles(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with locked(self.files.gate):
                # Waits for the end of a supervisor that is stopping; from then on, none can begin to.
                self._users: IO[bytes] = lock(self.files.users, operation=fcntl.LOCK_SH)
                self.url = self._url_of_running_server("throw-away" if throw_away else "kept")
        except OSError as error:
            raise EmbeddedServerFailed(f"cannot use {directory}: {error.strerror}") from error

    def is_alive(self) -> bool:
        """Say whether the server is still there."""
        return self.files.has_supervisor()

    def detach(self) -> None:
        """Let go of the server; if nobody else uses it, return when it has stopped."""
        self._users.close()
        try:
            with locked(self.files.gate):
                self._wait_unless_used()
        except FileNotFoundError:
            pass  # a throw-away server took its directory with it

    def _url_of_running_server(self, durability: str) -> str:
        started = False
        deadline = time.monotonic() + ATTACH_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if not self.files.has_supervisor():
                if started:
                    break
                self._start_supervisor(durability)
                started = True
            elif self.files.address.exists():
                return self.files.address.read_text()
            time.sleep(POLL_SECONDS)
        self._users.close()
        raise EmbeddedServerFailed(f"the embedded {self.kind} did not start; its log is {self.files.log}")

    def _start_supervisor(self, durability: str) -> None:
        module = [sys.executable, "-m", "bank.embedded.supervisor"]
        with self.files.log.open("ab") as log:
            subprocess.run(  # noqa: S603 - the command line is our own
                [*module, self.kind, str(self.files.directory.absolute()), durability],
                cwd=PROJECT_DIR,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
            )

    def _wait_unless_used(self) -> None:
        """Wait for the supervisor's end, unless there are other users. The gate is ours: no new one comes meanwhile."""
        deadline = time.monotonic() + DETACH_PATIENCE_SECONDS
        while self.files.has_supervisor() and time.monotonic() < deadline:
            others_hold_it = not is_free(self.files.users) and is_free(self.files.users, operation=fcntl.LOCK_SH)
            if others_hold_it:
                return
            time.sleep(POLL_SECONDS)
