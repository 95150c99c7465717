"""The whole bank on one machine: opens it, starts its processes, tells where they are, and stops them."""

import fcntl
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from bank.embedded.child_process import start_child, stop_child
from bank.embedded.environment import attachments
from bank.embedded.server_files import lock
from bank.opening import STAFF_NAME, client_token, open_bank, staff_password

START_PATIENCE_SECONDS = 60.0
STOP_PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.1

WELCOME = """\
The bank is open.

  API      {url}/api
  Docs     {url}/api/docs
  Admin    {url}/admin/   sign in as {staff} with {password}
  Health   {url}/health
  Logs     {logs}

Three lines to try:

  curl -X POST {url}/api/accounts {token}{first_key}-H 'Content-Type: application/json' \\
    -d '{{"accountId":"{account}","ownerId":"user-1","currency":"USD"}}'
  curl -X POST {url}/api/accounts/{account}/deposits {token}{second_key}-H 'Content-Type: application/json' \\
    -d '{{"amount":1000,"currency":"USD","transactionId":"txn-1"}}'
  curl {token}{url}/api/accounts/{account}

Ctrl-C stops it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One of the bank's processes; `is_ready` says whether it has begun to work."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    is_ready: Callable[[], bool]


class Command(BaseCommand):
    """Runs until it is interrupted."""

    help = "Run the whole bank on this machine, with sample data, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        """Open the bank and keep it open until SIGINT or SIGTERM; stop everything that was started."""
        for ending in (signal.SIGINT, signal.SIGTERM):
            # Also where SIGINT came in ignored, as it does for a background job of a shell script.
            signal.signal(ending, signal.default_int_handler)
        if settings.IN_MEMORY and settings.API_AUTH == "token":
            raise CommandError("an in-memory bank has no tokens: with API_AUTH=token nobody could ask for anything")
        try:
            with _only_demo(), ExitStack() as children:
                _require_free_port()
                if not settings.IN_MEMORY:
                    open_bank()
                    # The processes that are forked next must not share them.
                    connections.close_all()
                running = [children.enter_context(start()) for start in _starts()]
                _wait_until_open(running)
                self._welcome()
                while True:
                    _require_alive(running)
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            self.stdout.write("The bank is closed.")

    def _welcome(self) -> None:
        url = f"http://{settings.BIND_HOST}:{settings.PORT}"
        password = staff_password() or "the password set before"
        told = {"url": url, "staff": STAFF_NAME, "password": password, "logs": _logs(), **_what_to_try()}
        self.stdout.write(WELCOME.format_map(told))
        self.stdout.flush()
        connections.close_all()


def _what_to_try() -> dict[str, str]:
    """Return what differs in the lines to try: a token and keys where the bank asks for them, and so the account.

    The token's client could not see one that was opened before, by nobody in particular.
    """
    wants_token = settings.API_AUTH == "token"
    keys = {"first_key": "try-1", "second_key": "try-2"}
    return {
        "account": "demo-1" if wants_token else "acc-1",
        "token": f"-H 'Authorization: Bearer {client_token()}' \\\n    " if wants_token else "",
        **{
            name: f"-H 'Idempotency-Key: {key}' " if settings.REQUIRE_IDEMPOTENCY_KEY else ""
            for name, key in keys.items()
        },
    }


def _starts() -> list[Callable[[], AbstractContextManager[Child]]]:
    """Return what starts each of the bank's processes."""
    return [_web] if settings.IN_MEMORY else [_web, _projections, _jobs]


def _web() -> AbstractContextManager[Child]:
    listen = ["--host", settings.BIND_HOST, "--port", str(settings.PORT)]
    # The log of the in-memory bank lives in one process.
    workers = ["--workers", "1" if settings.IN_MEMORY else "2"]
    granian = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws", "--no-access-log", *listen, *workers]
    return _child("web", [*granian, "bank.rsgi:application"], is_ready=lambda log: _answers())


def _projections() -> AbstractContextManager[Child]:
    return _worker("projections", "--beat", "--pool", "solo", "--queues", "projections")


def _jobs() -> AbstractContextManager[Child]:
    # Of its own, as in production: what takes long keeps no read model waiting.
    return _worker("jobs", "--pool", "threads", "--concurrency", "4", "--queues", "jobs")


def _worker(name: str, *options: str) -> AbstractContextManager[Child]:
    celery = [sys.executable, "-m", "celery", "-A", "bank.celery:app", "worker", "--hostname", f"{name}@%h"]
    # It cannot be asked: a solo worker answers no ping during a slice.
    return _child(name, [*celery, *options, "--loglevel", "INFO"], is_ready=lambda log: b" ready." in log.read_bytes())


@contextmanager
def _child(name: str, command: list[str], *, is_ready: Callable[[Path], bool]) -> Iterator[Child]:
    """Run one of the bank's processes; on leaving, it and its own children have ended."""
    _logs().mkdir(parents=True, exist_ok=True)
    log = _logs() / f"{name}.log"
    log.write_bytes(b"")
    process = start_child(command=command, log=log, death_signal=signal.SIGTERM)
    try:
        yield Child(name=name, process=process, log=log, is_ready=lambda: is_ready(log))
    finally:
        # A second Ctrl-C would leave the others running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=STOP_PATIENCE_SECONDS)


def _logs() -> Path:
    logs: Path = settings.VAR_DIR / "log"
    # In-memory banks may run beside another; what none of them shares with the others is its port.
    return logs / f"in-memory-{settings.PORT}" if settings.IN_MEMORY else logs


def _answers() -> bool:
    """Say whether the web server answers requests."""
    connection = http.client.HTTPConnection(settings.BIND_HOST, settings.PORT, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _only_demo() -> Iterator[None]:
    """Refuse a second demo on the same data: its worker would fight for the first one's schedule."""
    if settings.IN_MEMORY:
        yield
        return
    settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
    try:
        demo_lock = lock(settings.VAR_DIR / "demo.lock", operation=fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"a demo is already running on the data in {settings.VAR_DIR}") from None
    with demo_lock:
        yield


def _require_free_port() -> None:
    address = (settings.BIND_HOST, settings.PORT)
    try:
        with socket.socket() as probe:
            # What a server does too: a connection of the last run that lingers does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot listen on {address[0]}:{address[1]} ({reason}); choose another PORT") from None


def _wait_until_open(running: Sequence[Child]) -> None:
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not all(child.is_ready() for child in running):
        _require_alive(running)
        if time.monotonic() > deadline:
            raise CommandError(f"the bank did not open; the logs are in {_logs()}")
        time.sleep(POLL_SECONDS)


def _require_alive(running: Sequence[Child]) -> None:
    """Raise CommandError if one of the bank's processes, or a server that it needs, has ended."""
    for child in running:
        if child.process.poll() is not None:
            raise CommandError(f"the {child.name} process ended by itself; its log is {child.log}")
    for attachment in attachments:
        if not attachment.is_alive():
            raise CommandError(f"the embedded {attachment.kind} ended; its log is {attachment.files.log}")
