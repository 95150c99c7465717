"""Servers that a journey stops and starts again at the same address, and the bank's processes beside them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from bank.embedded.child_process import start_child, stop_child
from bank.embedded.server_kind import ServerKind
from tests.own_bank import environment, manage
from tests.polling import wait_until

PROJECTION_WORKER = (
    *("celery", "-A", "bank.celery:app", "worker", "--beat", "--pool=threads", "--concurrency=1"),
    *("-Q", "projections"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class StoppableServer:
    """One server from its wheel, on a port of its own that it keeps."""

    def __init__(self, *, kind: type[ServerKind], directory: Path) -> None:
        directory.mkdir()
        self.server = kind(data=directory / "data", throw_away=True)
        self.log = directory / "log"
        self.port = free_port()
        self.url = self.server.url(self.port)
        self.server.prepare(self._run_to_end)
        self.start()

    def start(self) -> None:
        self.process = self._start(self.server.command(self.port))
        wait_until(lambda: self.server.is_ready(self.port))

    def stop(self) -> None:
        stop_child(process=self.process, stop_signal=self.server.stop_signal, patience_seconds=15)

    def _start(self, command: Sequence[str], *, stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return start_child(
            command=command,
            log=self.log,
            death_signal=self.server.stop_signal,
            environment=self.server.environment,
            user=self.server.user,
            stdin=stdin,
        )

    def _run_to_end(self, command: Sequence[str], *, stdin: IO[bytes] | None = None) -> None:
        assert self._start(command, stdin=stdin).wait() == 0, self.log.read_text()


@contextmanager
def running_server(kind: type[ServerKind], directory: Path) -> Iterator[StoppableServer]:
    server = StoppableServer(kind=kind, directory=directory)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_bank(*, var_dir: Path, database_url: str, broker_url: str) -> Iterator[httpx.Client]:
    """Run web server, worker and beat as production does, and give a client of them."""
    env = bank_environment(var_dir=var_dir, database_url=database_url, broker_url=broker_url)
    var_dir.mkdir()
    assert manage("migrate", env=env).returncode == 0
    port = free_port()
    web = ("granian", "--interface", "rsgi", "bank.rsgi:application", "--host", "127.0.0.1", "--port", str(port))
    with (
        running_process("web", (*web, "--workers-kill-timeout", "3"), env, var_dir),
        running_process("worker", PROJECTION_WORKER, env, var_dir),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        wait_until(lambda: _answers(client))
        yield client


def bank_environment(*, var_dir: Path, database_url: str, broker_url: str) -> dict[str, str]:
    """Return the environment of the bank's processes; a dead one is missed within seconds."""
    return environment(
        DATABASE_URL=database_url,
        REDIS_URL=broker_url,
        SECRET_KEY="of-this-journey-alone-" * 3,
        BANK_VAR_DIR=str(var_dir),
        API_AUTH="open",
        READY_MAX_AGE_SECONDS="4",
    )


@contextmanager
def running_process(name: str, command: Sequence[str], env: Mapping[str, str], var_dir: Path) -> Iterator[None]:
    """Run `python -m` with a command, and end it in order."""
    process = start_child(
        command=[sys.executable, "-m", *command],
        log=var_dir / f"{name}.log",
        death_signal=signal.SIGKILL,
        environment={**env, "PYTHONPATH": os.getcwd()},
    )
    try:
        yield
    finally:
        stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=8)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
