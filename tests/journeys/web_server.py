"""The bank's web server in a process of its own, on the tests' database, with a client of it."""

import os
import signal
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
from tests.polling import wait_until


@contextmanager
def web_server(*, var_dir: Path, **variables: str) -> Iterator[httpx.Client]:
    """Serve the tests' database as production does, with `variables` in the environment."""
    port = free_port()
    env = environment(
        DATABASE_URL=_database_url(),
        REDIS_URL=settings.CELERY_BROKER_URL,
        SECRET_KEY=settings.SECRET_KEY,
        BANK_VAR_DIR=str(var_dir),
        PYTHONPATH=os.getcwd(),
        **variables,
    )
    address = ("--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "4", "--workers-kill-timeout", "3")
    process = start_child(
        command=[sys.executable, "-m", "granian", "--interface", "wsgi", *address, "bank.wsgi:application"],
        log=var_dir / "web.log",
        death_signal=signal.SIGKILL,
        environment=env,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_until(lambda: _answers(client))
            yield client
    finally:
        stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=8)


def _database_url() -> str:
    database = connection.settings_dict
    user, password, name = (quote(database[part], safe="") for part in ("USER", "PASSWORD", "NAME"))
    return f"postgres://{user}:{password}@{database['HOST']}:{database['PORT']}/{name}"


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
