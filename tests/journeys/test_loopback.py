"""An open bank is open to this machine alone, wherever its server listens."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from django.core.wsgi import get_wsgi_application

from tests.journeys.account_api import problem
from tests.own_bank import PROJECT_DIR, environment, manage

EVERYWHERE = "0.0.0.0"  # noqa: S104


class QuietHandler(WSGIRequestHandler):
    """Does not print its requests."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_everywhere() -> Iterator[int]:
    """Serve the tests' bank, which is open, on all addresses of this machine, and give the port."""
    with make_server(EVERYWHERE, 0, get_wsgi_application(), handler_class=QuietHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def address_in_the_network() -> str | None:
    """Return an address of this machine that others could reach it by; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_who_comes_from_the_network_is_turned_away():
    with serving_everywhere() as port:
        assert httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
        address = address_in_the_network()
        if address is None:
            pytest.skip("this machine has no address but loopback")
        for path in ("/health/live", "/api/accounts", "/admin/", "/static/admin/css/base.css", "/nowhere"):
            answer = httpx.get(f"http://{address}:{port}{path}", headers={"Host": "localhost"})
            problem(answer, status=403, code="forbidden")


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (("-m", "granian", "--interface", "rsgi", "--host", EVERYWHERE, "--port", "0", "bank.rsgi:application"), {}),
        (("-m", "granian", "--interface", "rsgi", "--port", "0", "bank.rsgi:application"), {"GRANIAN_HOST": "::"}),
    ],
)
def test_a_server_that_says_so_does_not_start(tmp_path, command, variables):
    env = environment(EVENT_STORE_KIND="in-memory", BANK_VAR_DIR=str(tmp_path), **variables)
    served = subprocess.run(
        [sys.executable, *command], env=env, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=60
    )
    assert served.returncode != 0
    assert "loopback" in served.stdout + served.stderr


def test_nor_does_djangos_own(tmp_path):
    env = environment(EVENT_STORE_KIND="in-memory", BANK_VAR_DIR=str(tmp_path))
    served = manage("runserver", "--noreload", f"{EVERYWHERE}:0", env=env)
    assert served.returncode == 2
    assert "loopback" in served.stderr and len(served.stderr.splitlines()) == 1
