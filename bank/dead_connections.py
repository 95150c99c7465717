"""Threads keep their database connection between requests; one that the server ended meanwhile is dropped unused."""

import select
import time
from threading import local
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

ASK_AGAIN_SECONDS = 0.1

_of_thread = local()


def check_connections_once() -> None:
    """Look at a thread's connections once in each request, at its beginning.

    Django would do so at its end as well, and empty two stores that the bank does not use, a log of queries that is
    kept with DEBUG alone and caches: together that takes a third of the time that Django needs for a request.
    """
    if not settings.DEBUG:
        request_started.disconnect(reset_queries)
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    request_finished.disconnect(close_caches)
    request_started.connect(drop_dead_connections)


def drop_dead_connections(**_: Any) -> None:
    """Close this thread's connections that failed or have something to read: a server says nothing unasked but goodbye.

    Asking the kernel costs no round trip. Without it, the first request of every thread after a restart of the
    database would fail on a connection that ended long before. A thread that asked a moment ago does not ask again: no
    database restarts as fast as that, and to ask is to let other threads go first.
    """
    now = time.monotonic()
    asks = now - getattr(_of_thread, "asked_at", 0.0) >= ASK_AGAIN_SECONDS
    if asks:
        _of_thread.asked_at, _of_thread.connections = now, connections.all(initialized_only=True)
    # Those that came since a thread asked were made just now.
    for connection in _of_thread.connections:
        drop_if_dead(connection, asks=asks)


def drop_if_dead(connection: BaseDatabaseWrapper, *, asks: bool = True) -> None:
    """Close a connection that is of no use any more, as far as that is known, or found out if `asks`."""
    session = connection.connection if connection.vendor == "postgresql" else None
    if session is not None and (session.closed or (asks and _spoke(session))):
        connection.close()
    elif asks or connection.errors_occurred or not connection.autocommit:
        connection.close_if_unusable_or_obsolete()


def _spoke(session: Any) -> bool:
    readable = select.poll()
    readable.register(session.fileno(), select.POLLIN)
    return bool(readable.poll(0))
