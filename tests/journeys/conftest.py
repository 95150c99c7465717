"""Journeys go over HTTP into one committed database, and wait for the read models through the API."""

from collections.abc import Iterator

import httpx
import pytest
from django.db import connection

from tests.journeys.web_server import web_server


# In place of pytest-django's own `db`, and by its name: only for tests that use `db` does it create a test database.
@pytest.fixture(autouse=True, name="db")
def committed_database(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Let the test use the database for real: every statement commits, and ids are fresh instead of tables empty."""
    with django_db_blocker.unblock():
        yield
        connection.close()


@pytest.fixture(scope="session")
def api(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of the bank's web server, open to everybody."""
    with web_server(var_dir=tmp_path_factory.mktemp("open"), API_AUTH="open") as client:
        yield client


@pytest.fixture(scope="session")
def guarded(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client, without a token, of a web server that asks for one."""
    with web_server(var_dir=tmp_path_factory.mktemp("guarded"), API_AUTH="token") as client:
        yield client
