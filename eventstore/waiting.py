"""How code waits: as its thread does, unless somebody has given the thread another way.

A thread that serves one request waits by doing nothing. One that serves many goes on with the others meanwhile.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from select import POLLIN, POLLOUT, poll
from threading import local
from time import sleep  # by itself, as tests replace the clock
from typing import Protocol, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

Result = TypeVar("Result")

LOOK_SECONDS = 0.00002
"""How long a thread looks away. With what the operating system adds, it is away for some 70 microseconds."""


class Waiter(Protocol):
    """One who sent commands and waits for their answers."""

    def wait(self, *, timeout_seconds: float | None) -> bool:
        """Wait until woken, or for so long; tell whether it was woken, which may be for nothing."""
        ...

    def wake(self) -> None:
        """Let it look how things stand. Anybody may call this, in any thread."""
        ...

    def let_the_ready_go_first(self) -> None:
        """Let those go first that this thread has only to turn to, without waiting for anybody."""
        ...

    def look_away(self) -> None:
        """Let whoever is about to send something do so, for a moment."""
        ...


class WayToWait(Protocol):
    """What a thread may be given to wait by."""

    def new_waiter(self) -> Waiter:
        """Return a waiter for who calls."""
        ...

    def apart(self, call: Callable[[], Result]) -> Result:
        """Return what `call` returns in another thread, with the caller's context variables; raise what it raises."""
        ...

    def at_length(self, call: Callable[[], Result]) -> Result:
        """Do as `apart` does, where it is in nobody's way however long the call takes."""
        ...

    def begin(self, task: Callable[[], None]) -> None:
        """Have `task` done beside the caller, soon."""
        ...

    def connection(self, alias: str) -> AbstractContextManager[BaseDatabaseWrapper]:
        """Lend a connection to a database of Django's, which nobody else uses meanwhile.

        Raises OperationalError if none becomes free in time.
        """
        ...

    def until_ready(self, file: int, *, to_write: bool, patiently: bool) -> None:
        """Wait until there is something to read, or also room to write; others go on at once, unless `patiently`."""
        ...


class ThreadWaiter:
    """A thread that waits, and does nothing else."""

    def __init__(self) -> None:
        self._wake: SimpleQueue[None] = SimpleQueue()

    def wait(self, *, timeout_seconds: float | None) -> bool:
        try:
            self._wake.get(timeout=timeout_seconds)
        except Empty:
            return False
        return True

    def wake(self) -> None:
        self._wake.put(None)

    def let_the_ready_go_first(self) -> None:
        pass

    def look_away(self) -> None:
        sleep(LOOK_SECONDS)


class _OfThread(local):
    way: WayToWait | None = None


_of_thread = _OfThread()


def waits_by_itself() -> bool:
    """Tell whether this thread does nothing else while it waits."""
    return _of_thread.way is None


def wait_by(way: WayToWait | None) -> None:
    """Have this thread wait by `way` from now on."""
    _of_thread.way = way


def new_waiter() -> Waiter:
    """Return a waiter for who calls."""
    way = _of_thread.way
    return way.new_waiter() if way else ThreadWaiter()


def apart(call: Callable[[], Result]) -> Result:
    """Return what `call` returns: it waits for something outside of this process, and others may go on meanwhile."""
    way = _of_thread.way
    return way.apart(call) if way else call()


def at_length(call: Callable[[], Result]) -> Result:
    """Return what `call` returns: it may work or wait for long, and keeps neither fibers nor calls apart waiting."""
    way = _of_thread.way
    return way.at_length(call) if way else call()


def begin(task: Callable[[], None]) -> None:
    """Have `task` done, by others than the caller if there are any. It must not raise."""
    way = _of_thread.way
    if way:
        way.begin(task)
    else:
        task()


def connection_to(alias: str) -> AbstractContextManager[BaseDatabaseWrapper]:
    """Lend a connection to a database of Django's for one statement; it may have to be connected.

    Raises Django's OperationalError if none becomes free in time.
    """
    way = _of_thread.way
    return way.connection(alias) if way else nullcontext(connections[alias])


def connect(connection: BaseDatabaseWrapper) -> None:
    """Connect one that was lent, unless it is connected: a server that is away may take its time to say so."""
    if connection.connection is None:
        apart(connection.ensure_connection)


def until_ready(file: int, *, to_write: bool = False, patiently: bool = True) -> None:
    """Wait until there is something to read, or also room to write; others go on at once, unless `patiently`."""
    if way := _of_thread.way:
        way.until_ready(file, to_write=to_write, patiently=patiently)
    else:
        ready = poll()
        ready.register(file, POLLIN | POLLOUT if to_write else POLLIN)
        ready.poll()
