"""Requests that wait without a thread of their own: each is a fiber, and the loop's thread goes on with the others.

A fiber is a greenlet: plain code, with a stack of its own to be left on while it waits. It knows of no event loop, and
Django, which refuses its database to those, finds none: while a fiber runs, its thread is not in the loop.

A lock that a fiber holds while it waits would stop all others for ever. So nothing that waits is done under a lock.
"""

import asyncio
from asyncio import _set_running_loop
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from select import POLLIN, poll
from threading import get_ident
from time import sleep  # by itself, as tests replace the clock
from typing import TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from greenlet import getcurrent, greenlet

from bank.dead_connections import drop_dead_connections, drop_if_dead
from eventstore.waiting import LOOK_SECONDS, ThreadWaiter, Waiter, wait_by

Result = TypeVar("Result")

THREADS_APART = 4
"""How many calls that fibers make in threads may be under way at once."""

PATIENCE_MS = 10
"""How long to wait for a database before others go on. Most appends take less, and what comes meanwhile shares one."""


class Fibers:
    """The fibers of the event loop that this thread is about to run, and their way to wait (`eventstore.waiting`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()
        self._idle: defaultdict[str, list[BaseDatabaseWrapper]] = defaultdict(list)
        self._apart = ThreadPoolExecutor(THREADS_APART, thread_name_prefix="apart")
        wait_by(self)

    def start(self, task: Callable[[], None]) -> None:
        """Do `task` in a fiber of its own, and return when it waits or has ended. It must not raise."""
        self.go_on(greenlet(task))

    def go_on(self, fiber: greenlet) -> None:
        """Turn to a fiber, and return when it waits or has ended. Only the loop may do so, not another fiber."""
        # As event loops do when they stop; this one goes on when the fiber leaves.
        _set_running_loop(None)
        try:
            fiber.switch()
        finally:
            _set_running_loop(self._loop)

    def new_waiter(self) -> Waiter:
        """Return a waiter for who calls."""
        return _FiberWaiter(self, self._loop) if _is_fiber() else ThreadWaiter()

    def apart(self, call: Callable[[], Result]) -> Result:
        """Return what `call` returns, in another thread while the fiber waits for it."""
        if not _is_fiber():
            return call()
        future = self._apart.submit(copy_context().run, _with_good_connections, call)
        waiter = _FiberWaiter(self, self._loop)
        future.add_done_callback(lambda _: waiter.wake())
        while not future.done():
            waiter.wait()
        return future.result()

    @contextmanager
    def connection(self, alias: str) -> Iterator[BaseDatabaseWrapper]:
        """Lend one of the fibers' own connections: a thread's is for those who do not leave while they use it."""
        if not _is_fiber() or connections[alias].in_atomic_block:
            yield connections[alias]
            return
        idle = self._idle[alias]
        connection = idle.pop() if idle else connections.create_connection(alias)
        drop_if_dead(connection)
        if connection.connection is None:
            # A server that is away may take its time to say so.
            connection.inc_thread_sharing()
            self.apart(connection.ensure_connection)
        try:
            yield connection
        finally:
            idle.append(connection)

    def until_readable(self, file: int) -> None:
        """Wait until there is something to read; for a moment without going on with others.

        What comes in that moment is mostly the answer, and the others share the next call.
        """
        ready = poll()
        ready.register(file, POLLIN)
        if ready.poll(PATIENCE_MS) or not _is_fiber():
            return
        self._loop.add_reader(file, self.go_on, getcurrent())
        try:
            _leave()
        finally:
            self._loop.remove_reader(file)

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

    def wait(self, *, timeout_seconds: float | None = None) -> bool:
        if not self._is_woken:
            timer = None if timeout_seconds is None else self._loop.call_later(timeout_seconds, self._end_waiting)
            self._is_waiting = True
            _leave()
            if timer is not None:
                timer.cancel()
        woken, self._is_woken = self._is_woken, False
        return woken

    def wake(self) -> None:
        self._fibers.soon(self._wake_now)

    def let_the_ready_go_first(self) -> None:
        self._fibers.soon(self._fibers.go_on, self._fiber)
        _leave()

    def look_away(self) -> None:
        # The server needs Python for a moment to hand over what has come.
        sleep(LOOK_SECONDS)
        self.let_the_ready_go_first()

    def _wake_now(self) -> None:
        self._is_woken = True
        self._end_waiting()

    def _end_waiting(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._fibers.go_on(self._fiber)


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
