"""A bank served over HTTP as in production, with accounts to send requests about, and the reference beside it."""

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

ACCOUNTS = 2_000
HOT_ACCOUNT = "bench-hot"
LONG_HISTORIES = 20
LONG_HISTORY_LINES = 120
AMPLE_FUNDS = 10**9
PATIENCE_SECONDS = 30.0
PROJECTING_SECONDS = 120.0

# Everything that a production bank does with a request is on; the limit is so high that it refuses nobody.
ENVIRONMENT = {"API_AUTH": "token", "THROTTLE_REQUESTS_PER_MINUTE": str(10**9), "LOG_LEVEL": "INFO"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What serves an application: its kind, and how many processes of how many threads."""

    kind: str = "granian"
    processes: int = 2
    threads: int = 8

    def command(self, application: str, port: int) -> list[str]:
        """Return the command line that serves `application` on loopback."""
        if self.kind != "granian":
            # The same by WSGI, with a thread for each who waits.
            application = application.replace("rsgi:", "wsgi:")
        if self.kind != "gunicorn":
            address = ("--host", "127.0.0.1", "--port", str(port), "--no-ws", "--no-access-log")
            command = [sys.executable, "-m", "granian", "--workers", str(self.processes), *address]
            if "rsgi:" in application:
                return [*command, "--interface", "rsgi", "--loop", "uvloop", application]
            return [*command, "--interface", "wsgi", "--blocking-threads", str(self.threads), application]
        shape = ("--workers", str(self.processes), "--threads", str(self.threads), "--worker-class", "gthread")
        return [sys.executable, "-m", "gunicorn", *shape, "--bind", f"127.0.0.1:{port}", application]


@contextmanager
def served(*, application: str, server: Server, log: Path, **variables: str) -> Iterator[str]:
    """Serve `application` while the block runs; return its address."""
    from bank.embedded.child_process import start_child, stop_child

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = start_child(
        command=server.command(application, port),
        log=log,
        death_signal=signal.SIGKILL,
        environment=os.environ | variables,
    )
    try:
        _wait_until_open(f"http://127.0.0.1:{port}/", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=8)


@contextmanager
def projecting(*, log: Path) -> Iterator[None]:
    """Advance the projections while the block runs, in a worker of their own beside one for jobs, as in production."""
    with (
        _worker("projections", "--pool", "solo", "--beat", log=log),
        _worker("jobs", "--pool", "threads", "--concurrency", "4", log=log),
    ):
        yield


@contextmanager
def _worker(queue: str, *options: str, log: Path) -> Iterator[None]:
    from bank.embedded.child_process import start_child, stop_child

    celery = (sys.executable, "-m", "celery", "-A", "bank.celery:app", "worker", "--loglevel", "WARNING")
    process = start_child(
        command=[*celery, "--hostname", f"{queue}@%h", "--queues", queue, *options],
        log=log,
        death_signal=signal.SIGKILL,
        environment=os.environ,
    )
    try:
        yield
    finally:
        stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=8)


def open_accounts(
    *, accounts: int = ACCOUNTS, long_histories: int = LONG_HISTORIES, lines: int = LONG_HISTORY_LINES
) -> None:
    """Open `accounts` accounts with ample funds and a hot one; the first `long_histories` have `lines` lines more."""
    with ThreadPoolExecutor(8) as threads:
        names = [HOT_ACCOUNT, *(f"bench-{number}" for number in range(1, accounts + 1))]
        list(threads.map(_opened, names))
        long = [f"bench-{number}" for number in range(1, long_histories + 1)]
        list(threads.map(partial(_deposited, times=lines, amount=1), long))
        list(threads.map(_closed_connection, range(8)))


def wait_for_projections() -> None:
    """Wait until the read models know all of the log, so that no load has to share the machine with those before it."""
    from projections.freshness import freshness_of

    deadline = time.monotonic() + PROJECTING_SECONDS
    while any(freshness_of(projection=projection).age_ms for projection in ("account_summary", "account_statement")):
        if time.monotonic() > deadline:
            raise AssertionError("the projections do not come to the end of the log")
        time.sleep(0.05)


def issued_token(*, role: str = "operations") -> str:
    """Return a token for a principal of its own that may do all that load.lua asks for."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission
    from django.core.management import call_command

    out = StringIO()
    call_command("issue_token", "bench", role=role, stdout=out)
    user = get_user_model().objects.get(username="bench")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="bank"))
    return out.getvalue().strip()


def _opened(account_id: str) -> None:
    from accounts.domain.commands import CreateAccount
    from accounts.handlers import create_account
    from eventstore.records import CommandContext

    command = CreateAccount(account_id=account_id, owner_id="bench", currency="USD")
    create_account(command=command, context=CommandContext())
    _deposited(account_id, times=1, amount=AMPLE_FUNDS)


def _deposited(account_id: str, *, times: int, amount: int) -> None:
    from accounts.domain.commands import DepositMoney
    from accounts.handlers import deposit_money
    from eventstore.records import CommandContext

    for _ in range(times):
        command = DepositMoney(account_id=account_id, amount=amount, currency="USD")
        if deposit_money(command=command, context=CommandContext()).refused:
            raise AssertionError(account_id)


def _closed_connection(_: int) -> None:
    from django.db import connection

    connection.close()


def _wait_until_open(url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except urllib.error.HTTPError:
            # It has no page there, and says so: it is open.
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not open:\n{log.read_text()[-2000:]}")
