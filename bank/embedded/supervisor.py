"""The process that owns one embedded server: starts it, waits until nobody uses it, stops it.

Two wishes pull in different directions: nothing may be left when a user of the server is killed, and the server must
not die under the others when the user that happened to start it ends. So no user owns the server. A supervisor does:
a small process of its own, detached from whoever caused its start. It waits for the exclusive lock of a file on which
every user holds a shared lock; the kernel grants it when the last user has ended, by kill -9 or otherwise, and then the
supervisor stops the server and ends. A new user shares the lock at once if it comes before that, and waits for the end,
to start the next supervisor, if it comes after.

The server is tied to the supervisor by a death signal, so killing the supervisor stops the server. Its processes
inherit one more lock: the next supervisor waits until all of them are gone before it touches the data.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from bank.embedded.child_process import start_child, stop_child
from bank.embedded.postgres import EmbeddedPostgres
from bank.embedded.server_files import ServerFiles, is_free, lock
from bank.embedded.server_kind import ServerKind
from bank.embedded.valkey import EmbeddedValkey

KINDS: dict[str, type[ServerKind]] = {"postgres": EmbeddedPostgres, "valkey": EmbeddedValkey}
START_PATIENCE_SECONDS = 60.0
STOP_PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.02
MAX_PORT_ATTEMPTS = 3


def main(kind: str, directory: str, durability: str) -> None:
    """Detach, and supervise one server; `durability` is `kept` or `throw-away`.

    Only a process that holds the gate starts a supervisor, and only if none lives.
    """
    files = ServerFiles(Path(directory))
    supervisor_lock = lock(files.supervisor, operation=fcntl.LOCK_EX)
    files.address.unlink(missing_ok=True)
    # The fork shares the lock: whoever waited for this process sees a supervisor alive from here to its end.
    if os.fork():
        os._exit(0)
    with supervisor_lock:
        _supervise(kind, files, throw_away=durability == "throw-away")


def _supervise(kind: str, files: ServerFiles, *, throw_away: bool) -> None:
    """Run the server until its last user has ended."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    with _lock_of_processes(files) as processes:
        server = KINDS[kind](data=files.data, throw_away=throw_away)
        supervised = _Supervised(server, files, processes)
        try:
            supervised.start()
            signal.signal(signal.SIGCHLD, supervised.end_with_server)
            supervised.wait_for_last_user()
        finally:
            _ignore_signals()
            files.address.unlink(missing_ok=True)
            supervised.stop()
            if throw_away:
                shutil.rmtree(files.directory, ignore_errors=True)


class _Supervised:
    """The server's process and what it was started with."""

    def __init__(self, server: ServerKind, files: ServerFiles, processes: IO[bytes]) -> None:
        self.server = server
        self.files = files
        self.processes = processes
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start the server on a free port, which another process may take first: then on another."""
        self.server.prepare(self._run_to_end)
        for _ in range(MAX_PORT_ATTEMPTS):
            port = _free_port()
            self.process = self._start(self.server.command(port))
            if _becomes_ready(self.server, self.process, port):
                self.url = self.server.url(port)
                return
            self.stop()
        raise SystemExit(f"{self.server.name} did not start")

    def end_with_server(self, signal_number: int, frame: FrameType | None) -> None:
        """Handle SIGCHLD, which comes too when the server is stopped for a while, and when it goes on."""
        if self.process is None or self.process.poll() is not None:
            _end(signal_number, frame)

    def wait_for_last_user(self) -> None:
        """Make the server known and wait; returns with the users' lock held, so that no new user attaches."""
        if self.process is None or self.process.poll() is not None:
            raise SystemExit(f"{self.server.name} ended as soon as it was ready")
        draft = self.files.address.with_suffix(".new")
        draft.write_text(self.url)
        draft.rename(self.files.address)
        # Kept open until this process ends.
        self.users = lock(self.files.users, operation=fcntl.LOCK_EX)

    def stop(self) -> None:
        """Stop the server, if it was started."""
        if self.process is not None:
            stop_signal = self.server.stop_signal
            stop_child(process=self.process, stop_signal=stop_signal, patience_seconds=STOP_PATIENCE_SECONDS)

    def _run_to_end(self, command: Sequence[str], *, stdin: IO[bytes] | None = None) -> None:
        self.process = self._start(command, stdin=stdin)
        returncode = self.process.wait(timeout=START_PATIENCE_SECONDS)
        if returncode:
            raise subprocess.CalledProcessError(returncode, command)

    def _start(self, command: Sequence[str], *, stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return start_child(
            command=command,
            log=self.files.log,
            death_signal=self.server.stop_signal,
            environment=self.server.environment,
            user=self.server.user,
            stdin=stdin,
            pass_fds=(self.processes.fileno(),),
        )


def _lock_of_processes(files: ServerFiles) -> IO[bytes]:
    """Return the lock that the server's processes inherit, once those of a killed supervisor have ended."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not is_free(files.processes):
        if time.monotonic() > deadline:
            raise SystemExit("processes of a killed supervisor still run")
        time.sleep(POLL_SECONDS)
    return lock(files.processes, operation=fcntl.LOCK_EX | fcntl.LOCK_NB)


def _becomes_ready(server: ServerKind, process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers, False if its process ends before that or takes too long."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if server.is_ready(port):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(f"ended by {signal.Signals(signal_number).name}")


def _ignore_signals() -> None:
    """Let nothing interrupt the stopping, neither a second signal nor the end of the server itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


if __name__ == "__main__":
    main(*sys.argv[1:])
