"""Starting over: removes the data of the bank on this machine, unless it is in use."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bank.embedded.child_process import PROJECT_DIR
from bank.embedded.server_files import ServerFiles, lock
from bank.embedded.supervisor import KINDS

# What the bank makes beside its servers' directories. The lock comes last: until then it keeps demos out.
SECRETS = ("secret_key", "staff_password", "client_token")
MADE_BY_THE_BANK = ("log", "metrics", *SECRETS, "celerybeat-schedule*", "demo.lock")


class BankIsRunning(Exception):
    """Somebody uses the data."""


def main() -> None:
    """Remove what the bank made in its directory, and the directory if that was all that it held."""
    var_dir = Path(os.environ.get("BANK_VAR_DIR") or PROJECT_DIR / "var")
    if not var_dir.is_dir():
        return
    try:
        with _nobody_else(var_dir) as servers:
            for path in (*servers, *(path for pattern in MADE_BY_THE_BANK for path in var_dir.glob(pattern))):
                _remove(path)
    except BankIsRunning:
        sys.exit("reset: the bank is running; stop it first")
    if left := sorted(path.name for path in var_dir.iterdir()):
        print(f"reset: not made by the bank, and left in {var_dir}: {', '.join(left)}")
    else:
        var_dir.rmdir()


@contextmanager
def _nobody_else(var_dir: Path) -> Iterator[list[Path]]:
    """Keep demos and users of the embedded servers out; yield the servers' directories. Raises BankIsRunning."""
    servers = [files for kind in KINDS if (files := ServerFiles(var_dir / kind)).gate.exists()]
    with ExitStack() as held:
        try:
            for path in (var_dir / "demo.lock", *(files.gate for files in servers)):
                held.enter_context(lock(path, operation=fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            raise BankIsRunning from None
        # With the gates shut none can be started, so a look is enough.
        if any(files.has_supervisor() for files in servers):
            raise BankIsRunning
        yield [files.directory for files in servers]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    main()
