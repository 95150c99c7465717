"""Gives the tests their servers and sets Django up, before any test module or other conftest is imported.

pytest-django would read the settings earlier than any code of ours runs, before there is a database to name in them; so
pyproject.toml does not name the settings to it, and they are loaded here.
"""

import os
import secrets
import sys
import tempfile
from contextlib import ExitStack

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from bank.embedded.attachment import EmbeddedServerFailed
from bank.embedded.environment import embedded_servers

_until_the_end = ExitStack()


def _set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "bank.settings"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    os.environ.setdefault("API_AUTH", "open")
    # Never the demo's data: embedded servers, secrets and logs of the tests live and end with them.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        # It shares the servers of the run that it is part of: its database is pytest-django's matter, its queues ours.
        broker = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0").rpartition("/")[0]
        os.environ["REDIS_URL"] = f"{broker}/{int(worker.removeprefix('gw')) + 1}"
    os.environ["BANK_VAR_DIR"] = _until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="bank-tests-"))
    try:
        _until_the_end.enter_context(embedded_servers(os.environ, throw_away=True))
        django.setup()
    except (ImproperlyConfigured, EmbeddedServerFailed) as error:
        _until_the_end.close()
        print(f"tests: {error}", file=sys.stderr)
        sys.exit(2)


_set_up()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Keep the name of the settings from the processes to come: they too read them here, and not before."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure() -> None:
    """Stop what was started for this run, however it ended."""
    _until_the_end.close()
