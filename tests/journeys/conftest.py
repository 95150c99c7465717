"""Journeys go over HTTP into one committed database, and wait for the read models through the API."""

from collections.abc import Iterator

import httpx
import pytest

from tests.committed_database import committed_database as committed_database
from tests.journeys.web_server import web_server
from tests.own_bank import env as env
from tests.own_bank import var_dir as var_dir


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
