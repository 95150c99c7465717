"""Counts the round trips to the database by what its server answers, whoever asked and by whatever cursor."""

import tempfile
from collections.abc import Callable

from django.db import connection


def round_trips(action: Callable[[], object]) -> int:
    """Return how often the server told this thread's connection, during `action`, that it was ready for more."""
    connection.ensure_connection()
    wire = connection.connection.pgconn
    with tempfile.TemporaryFile("r") as trace:
        wire.trace(trace.fileno())
        try:
            action()
        finally:
            wire.untrace()
        trace.seek(0)
        return sum("\tReadyForQuery\t" in line for line in trace)
