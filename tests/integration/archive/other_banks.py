"""Banks of a test's own, beside the one that all tests share: each is a database on the same server."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from django.db import connection


@contextmanager
def bank_like(template: str) -> Iterator[str]:
    """Give the name of a database that begins as a copy of another one, and is gone afterwards."""
    name = f"bank_{uuid4().hex}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def using(bank: str) -> Iterator[None]:
    """Let everything in this thread work on another bank meanwhile."""
    settings = connection.settings_dict
    shared = settings["NAME"]
    connection.close()
    settings["NAME"] = bank
    try:
        yield
    finally:
        connection.close()
        settings["NAME"] = shared
