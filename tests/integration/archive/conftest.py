"""Empty banks, for logs to be moved to and from."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from tests.integration.archive.other_banks import bank_like, using


@pytest.fixture(scope="session")
def model_bank(django_db_setup, django_db_blocker) -> Iterator[str]:
    """A bank with its tables and nothing else, that others are copied from."""
    with django_db_blocker.unblock(), bank_like("template0") as name:
        with using(name):
            call_command("migrate", verbosity=0, interactive=False)
        yield name


@pytest.fixture
def new_bank(model_bank) -> Iterator[str]:
    """An empty bank."""
    with bank_like(model_bank) as name:
        yield name


@pytest.fixture
def other_new_bank(model_bank) -> Iterator[str]:
    """Another empty bank."""
    with bank_like(model_bank) as name:
        yield name
