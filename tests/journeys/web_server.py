"""The bank's web server in processes of its own, on the tests' database, with a client of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from bank.embedded.child_process import start_child, stop_child
from tests.journeys.stoppable_servers import free_port
from tests.own_bank import environment
from tests.polling import DEADLINE_SECONDS, wait_until

BANK = "bank.rsgi:application"


class WebServer:
    """Serves the tests' database as production does, at one address, whatever becomes of its processes."""

    def __init__(
        self,
        *,
        var_dir: Path,
        application: str = BANK,
        interface: str = "rsgi",
        web_threads: str = "4",
        **variables: str,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        granian = [sys.executable, "-m", "granian", "--interface", interface, "--no-ws", "--workers-kill-timeout", "3"]
        address = ["--host", "127.0.0.1", "--port", str(port)]
        self._command = [*granian, *address, application]
        self.log = var_dir / "web.log"
        self._environment = process_environment(var_dir=var_dir, WEB_THREADS=web_threads, **variables)
        self._process = self._started()

    def kill(self) -> None:
        """End all its processes at once, with no chance to finish anything."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_killed(self) -> None:
        """Wait for its processes to be killed by somebody else."""
        assert self._process.wait(DEADLINE_SECONDS) == -signal.SIGKILL

    def start_again(self) -> None:
        """Start it after it was killed; it does not answer at once."""
        self._process = self._started()

    def stop(self) -> None:
        """End it in order."""
        stop_child(process=self._process, stop_signal=signal.SIGTERM, patience_seconds=8)

    def _started(self) -> subprocess.Popen[bytes]:
        return start_child(
            command=self._command, log=self.log, death_signal=signal.SIGKILL, environment=self._environment
        )


@contextmanager
def running_web_server(
    *, var_dir: Path, application: str = BANK, interface: str = "rsgi", web_threads: str = "4", **variables: str
) -> Iterator[WebServer]:
    """Run a web server that answers, with `variables` in its environment."""
    server = WebServer(
        var_dir=var_dir, application=application, interface=interface, web_threads=web_threads, **variables
    )
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            wait_until(lambda: answers(client))
        yield server
    finally:
        server.stop()


@contextmanager
def web_server(*, var_dir: Path, web_threads: str = "4", **variables: str) -> Iterator[httpx.Client]:
    """Run a web server, and give a client of it."""
    with (
        running_web_server(var_dir=var_dir, web_threads=web_threads, **variables) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        yield client


def process_environment(*, var_dir: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a process of the bank on the tests' database, with `variables`."""
    of_the_tests = {
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.CELERY_BROKER_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "BANK_VAR_DIR": str(var_dir),
        "PYTHONPATH": os.getcwd(),
        # The tests turn up without a good token more often than anybody may.
        "THROTTLE_TURNED_AWAY_PER_MINUTE": "10000000",
    }
    return environment(**of_the_tests | variables)


def database_url() -> str:
    """Return the address of the tests' database, for processes of their own."""
    database = connection.settings_dict
    user, password, name = (quote(database[part], safe="") for part in ("USER", "PASSWORD", "NAME"))
    return f"postgres://{user}:{password}@{database['HOST']}:{database['PORT']}/{name}"


def answers(client: httpx.Client) -> bool:
    """Tell whether the server takes requests."""
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
