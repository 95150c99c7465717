"""Requests that wait without a thread of their own: each is a fiber, and the loop's thread goes on with the others.

A fiber is a greenlet: plain code, with a stack of its own to be left on while it waits. It knows of no event loop, and
Django, which refuses its database to those, finds none: while a fiber runs, its thread is not in the loop.

A lock that a fiber holds while it leaves would stop all others for ever, and a transaction of Django's would be on a
connection that all of them have: no fiber leaves with either. What a fiber waits for without leaving keeps all others
waiting: whatever has no way of its own to be waited for is called apart, in a thread.
"""

import asyncio
from asyncio import _set_running_loop
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from select import POLLIN, POLLOUT, poll
from threading import get_ident
from time import sleep  # by itself, as tests replace the clock
from typing import TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from greenlet import getcurrent, greenlet
from psycopg.pq import TransactionStatus

from bank.dead_connections import drop_dead_connections, drop_if_dead
from eventstore.places import Places
from eventstore.waiting import LOOK_SECONDS, ThreadWaiter, Waiter, wait_by

Result = TypeVar("Result")

THREADS_APART = 4
"""How many calls that fibers make in threads may be under way at once."""

PATIENCE_MS = 10
"""How long to wait for a database before others go on. Most appends take less, and what comes meanwhile shares one."""


MAX_CONNECTIONS = 8
"""How many connections fibers have to each database at most. One is enough as long as it answers at once."""


class _Lent:
    """The fibers' connections to a database: those that nobody has just now, and places for those that may have one."""

    def __init__(self) -> None:
        self.idle: list[BaseDatabaseWrapper] = []
        self.places = Places(MAX_CONNECTIONS, name="connection")


class Fibers:
    """The fibers of the event loop that this thread is about to run, and their way to wait (`eventstore.waiting`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: Executor) -> None:
        """Have what takes long done in `threads`, which somebody else closes."""
        self._loop = loop
        self._threads = threads
        self._thread = get_ident()
        self._resting: list[greenlet] = []
        self._task: Callable[[], None] = _nothing
        self._lent: defaultdict[str, _Lent] = defaultdict(_Lent)
        self._in_use: dict[tuple[str, greenlet], BaseDatabaseWrapper] = {}
        self._apart = ThreadPoolExecutor(THREADS_APART, thread_name_prefix="apart")
        wait_by(self)

    def start(self, task: Callable[[], None]) -> None:
        """Do `task` in a fiber of its own, and return when it waits or has ended. It must not raise."""
        fiber = self._resting.pop() if self._resting else greenlet(self._do_tasks)
        self._task = task
        self.go_on(fiber)

    def begin(self, task: Callable[[], None]) -> None:
        """Do `task` in a fiber of its own, soon."""
        self.soon(self.start, task)

    def _do_tasks(self) -> None:
        """Do task after task, each in a context of its own: a new stack for each would cost more than most of them."""
        while True:
            Context().run(self._task)
            self._resting.append(getcurrent())
            _leave()

    def go_on(self, fiber: greenlet) -> None:
        """Turn to a fiber, and return when it waits or has ended. Only the loop may do so, not another fiber."""
        # As event loops do when they stop; this one goes on when the fiber leaves.
        _set_running_loop(None)
        try:
            fiber.switch()
        finally:
            _set_running_loop(self._loop)

    def close(self) -> None:
        """Let go of threads and connections, when no fiber is left."""
        self._apart.shutdown(wait=False)
        for connection in (connection for lent in self._lent.values() for connection in lent.idle):
            connection.close()

    def new_waiter(self) -> Waiter:
        """Return a waiter for who calls."""
        return _FiberWaiter(self, self._loop) if _is_fiber() else ThreadWaiter()

    def apart(self, call: Callable[[], Result]) -> Result:
        """Return what `call` returns, in another thread while the fiber waits for it."""
        return self._in_a_thread(self._apart, call)

    def at_length(self, call: Callable[[], Result]) -> Result:
        """Return what `call` returns, in a thread that nobody needs for what is over soon."""
        return self._in_a_thread(self._threads, call)

    def _in_a_thread(self, threads: Executor, call: Callable[[], Result]) -> Result:
        if not _is_fiber():
            return call()
        future = threads.submit(copy_context().run, _with_good_connections, call)
        waiter = _FiberWaiter(self, self._loop)
        future.add_done_callback(lambda _: waiter.wake())
        while not future.done():
            waiter.wait(timeout_seconds=None)
        return future.result()

    @contextmanager
    def connection(self, alias: str) -> Iterator[BaseDatabaseWrapper]:
        """Lend one of the fibers' own connections: a thread's is for those who do not leave while they use it.

        A fiber that has one gets the same again.
        """
        fiber = getcurrent()
        if fiber.parent is None:
            yield connections[alias]
            return
        if (alias, fiber) in self._in_use:
            yield self._in_use[alias, fiber]
            return
        lent = self._lent[alias]
        with lent.places.one():
            connection = lent.idle.pop() if lent.idle else _new_connection(alias)
            self._in_use[alias, fiber] = connection
            try:
                drop_if_dead(connection)
                yield connection
            finally:
                del self._in_use[alias, fiber]
                if _is_amid_something(connection):
                    # The fiber was stopped before its answer came, which is nobody else's.
                    connection.close()
                lent.idle.append(connection)

    def until_ready(self, file: int, *, to_write: bool, patiently: bool) -> None:
        """Wait until there is something to read, or also room to write.

        If `patiently`, for a moment without going on with others: what comes then is mostly the answer, and the others
        share the next call.
        """
        ready = poll()
        ready.register(file, POLLIN | POLLOUT if to_write else POLLIN)
        if ready.poll(PATIENCE_MS if patiently or not _is_fiber() else 0) or not _is_fiber():
            return
        waiter = _FiberWaiter(self, self._loop)
        self._loop.add_reader(file, waiter.wake_now)
        if to_write:
            self._loop.add_writer(file, waiter.wake_now)
        try:
            waiter.wait(timeout_seconds=None)
        finally:
            self._loop.remove_reader(file)
            self._loop.remove_writer(file)

    def soon(self, callback: Callable[..., None], *arguments: object) -> None:
        """Have the loop call `callback` after what is ready now. Anybody may ask for it, in any thread."""
        schedule = self._loop.call_soon if get_ident() == self._thread else self._loop.call_soon_threadsafe
        schedule(callback, *arguments)


class _FiberWaiter:
    """A fiber that waits while its thread goes on with others. All but `wake` is for its thread alone."""

    def __init__(self, fibers: Fibers, loop: asyncio.AbstractEventLoop) -> None:
        self._fibers = fibers
        self._loop = loop
        self._fiber = getcurrent()
        self._is_woken = False
        self._is_waiting = False

    def wait(self, *, timeout_seconds: float | None) -> bool:
        if not self._is_woken:
            timer = None if timeout_seconds is None else self._loop.call_later(timeout_seconds, self._end_waiting)
            self._is_waiting = True
            _leave()
            if timer is not None:
                timer.cancel()
        woken, self._is_woken = self._is_woken, False
        return woken

    def wake(self) -> None:
        self._fibers.soon(self.wake_now)

    def let_the_ready_go_first(self) -> None:
        self._fibers.soon(self._fibers.go_on, self._fiber)
        _leave()

    def look_away(self) -> None:
        # The server needs Python for a moment to hand over what has come.
        sleep(LOOK_SECONDS)
        self.let_the_ready_go_first()

    def wake_now(self) -> None:
        """Turn to the fiber, if it waits, from the loop."""
        self._is_woken = True
        self._end_waiting()

    def _end_waiting(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._fibers.go_on(self._fiber)


def _new_connection(alias: str) -> BaseDatabaseWrapper:
    connection = connections.create_connection(alias)
    # A thread apart connects it.
    connection.inc_thread_sharing()
    return connection


def _is_amid_something(connection: BaseDatabaseWrapper) -> bool:
    session = connection.connection if connection.vendor == "postgresql" else None
    # One that broke is for who used it to find so, and for whoever has it next to replace.
    return session is not None and session.pgconn.transaction_status not in (
        TransactionStatus.IDLE,
        TransactionStatus.UNKNOWN,
    )


def _nothing() -> None:
    pass


def _is_fiber() -> bool:
    return getcurrent().parent is not None


def _leave() -> None:
    """Let the loop go on, until it turns to this fiber again."""
    hub = getcurrent().parent
    if hub is None:
        raise AssertionError("only a fiber can leave")
    hub.switch()


def _with_good_connections(call: Callable[[], Result]) -> Result:
    drop_dead_connections()
    return call()
