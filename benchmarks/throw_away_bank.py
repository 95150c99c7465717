"""A bank on servers of its own, for one measurement."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory


@contextmanager
def throw_away_bank() -> Iterator[None]:
    """Let the block use a new bank, with all of its tables; it is gone afterwards."""
    from bank.embedded.environment import DATABASE_VARIABLES, embedded_servers

    # Events cannot be deleted: never write them to a database that somebody named for another purpose.
    for name in DATABASE_VARIABLES:
        os.environ.pop(name, None)
    with TemporaryDirectory(prefix="bank-bench-") as directory:
        os.environ |= {"BANK_EMBEDDED": "1", "BANK_VAR_DIR": directory, "DJANGO_SETTINGS_MODULE": "bank.settings"}
        with embedded_servers(os.environ):
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            yield
