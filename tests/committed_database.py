"""The committed database of integration tests and journeys: appends are transactions, so nothing is rolled back."""

from collections.abc import Iterator

import pytest
from django.db import connection


# In place of pytest-django's own `db`, and by its name: only for tests that use `db` does it create a test database.
@pytest.fixture(autouse=True, name="db")
def committed_database(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Let the test use the database for real: every statement commits, and ids are fresh instead of tables empty."""
    with django_db_blocker.unblock():
        yield
        connection.close()
