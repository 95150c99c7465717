"""Starting over: removes the data of the bank on this machine, unless it is in use."""

import os
import shutil
import sys
from pathlib import Path

from bank.embedded.child_process import PROJECT_DIR
from bank.embedded.server_files import ServerFiles, is_free


def main() -> None:
    """Remove the directory of the embedded servers, the kept secrets and the logs."""
    var_dir = Path(os.environ.get("BANK_VAR_DIR") or PROJECT_DIR / "var")
    servers_run = any(ServerFiles(directory).has_supervisor() for directory in var_dir.glob("*/"))
    if servers_run or not is_free(var_dir / "demo.lock"):
        sys.exit("reset: the bank is running; stop it first")
    shutil.rmtree(var_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
