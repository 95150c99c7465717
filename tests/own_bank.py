"""A bank on this machine with a directory of its own: its environment, its commands and whatever of it is running."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bank.embedded.environment import DATABASE_VARIABLES
from bank.embedded.server_files import ServerFiles, is_free
from tests.polling import wait_until

PROJECT_DIR = Path(__file__).resolve().parent.parent
ADDRESSES = (*DATABASE_VARIABLES, "REDIS_URL", "BANK_EMBEDDED", "BANK_VAR_DIR", "BANK_IN_MEMORY_DIR")
OF_THE_TESTS = (
    *ADDRESSES,
    "DJANGO_SETTINGS_MODULE",
    "EVENT_STORE_KIND",
    "SECRET_KEY",
    "API_AUTH",
    "PYTEST_XDIST_WORKER",
)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without what the tests' own bank put there, and with `variables`."""
    return {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS} | variables


def embedded(var_dir: Path, **variables: str) -> dict[str, str]:
    """Return the environment of an embedded bank in `var_dir`."""
    return environment(BANK_EMBEDDED="1", BANK_VAR_DIR=str(var_dir), **variables)


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a manage.py command to its end."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, env=env, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an embedded bank that a module's tests share."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture
def env(var_dir) -> Iterator[dict[str, str]]:
    """The environment of the embedded bank in `var_dir`; nothing of it runs on after the test."""
    yield embedded(var_dir)
    for process in processes_of(var_dir):
        with suppress(psutil.Error):
            process.kill()
    wait_until_nothing_runs(var_dir)


def processes_of(var_dir: Path) -> list[psutil.Process]:
    """Return the living Python processes of the bank in `var_dir`; they carry its name in their environment."""
    found = []
    for process in psutil.process_iter():
        # A process may end while we look at it, or belong to another user.
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("BANK_VAR_DIR") == str(var_dir):
                found.append(process)
    return found


def wait_until_nothing_runs(var_dir: Path) -> None:
    """Fail if a process of the bank in `var_dir` does not go away by itself.

    Servers overwrite their environment; but they, and all of their children, hold the lock that they inherited.
    """
    directories = [ServerFiles(var_dir / kind) for kind in ("postgres", "valkey")]
    wait_until(lambda: not processes_of(var_dir) and all(is_free(files.processes) for files in directories))
