"""Child processes that never outlive their parent, whichever way it ends."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PROJECT_DIR = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1


def start_child(
    *,
    command: Sequence[str],
    log: Path,
    death_signal: signal.Signals,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    stdin: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, writing to the end of `log`; with `user`, as that account.

    On Linux it gets `death_signal` when its parent ends. The kernel counts the *thread* that started it as its parent:
    call this from the main thread.
    """
    account: dict[str, Any] = {}
    if user:
        account = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the command lines are our own
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=PROJECT_DIR,
            start_new_session=True,
            preexec_fn=_tied_to_parent(death_signal) if sys.platform == "linux" else None,
            pass_fds=pass_fds,
            **account,
        )


def _tied_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child does between fork and exec to end with its parent."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        # The parent may have ended before the line above: then no signal will come.
        if os.getppid() != parent:
            os._exit(1)

    return tie


def stop_child(*, process: subprocess.Popen[bytes], stop_signal: signal.Signals, patience_seconds: float) -> None:
    """Ask `process` to end, wait, and in the end kill all of its session that is left."""
    with suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=patience_seconds)
    # Its own children may outlive it; they are still in the group that its session began with.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
