"""Threads keep their database connection between requests; one that the server ended meanwhile is dropped unused."""

import select
from typing import Any

from django.db import connections


def drop_dead_connections(**_: Any) -> None:
    """Close this thread's connections that have something to read: a server says nothing unasked but its farewell.

    Asking the kernel costs no round trip. Without it, the first request of every thread after a restart of the
    database would fail on a connection that ended long before.
    """
    for connection in connections.all(initialized_only=True):
        session = connection.connection
        if connection.vendor == "postgresql" and session is not None and _ended(session):
            connection.close()


def _ended(session: Any) -> bool:
    if session.closed:
        return True
    readable = select.poll()
    readable.register(session.fileno(), select.POLLIN)
    return bool(readable.poll(0))
