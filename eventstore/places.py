"""Places for fibers that do something which has room for a few."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import OperationalError

from eventstore.waiting import Waiter, new_waiter, waits_by_itself


class Places:
    """Lets `number` fibers do something at once; the others wait, and come in their order.

    A thread that waits by itself needs no place: of those there are only so many.
    """

    def __init__(self, number: int, *, name: str) -> None:
        """Have so many, and call one by that name to who gets none."""
        self._free = number
        self._name = name
        # All that wait are fibers of one thread, and change places only there: nothing to lock.
        self._waiting: deque[Waiter] = deque()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place, once there is one. Raises OperationalError if there is none in time."""
        if waits_by_itself():
            yield
            return
        if self._free:
            self._free -= 1
        else:
            self._wait()
        try:
            yield
        finally:
            if self._waiting:
                # It is theirs from now on, so that nobody who comes just now takes it first.
                self._waiting.popleft().wake()
            else:
                self._free += 1

    def _wait(self) -> None:
        give_up_at = time.monotonic() + settings.DB_CONNECT_TIMEOUT_SECONDS
        self._waiting.append(waiter := new_waiter())
        while not waiter.wait(timeout_seconds=max(give_up_at - time.monotonic(), 0)):
            if time.monotonic() >= give_up_at and waiter in self._waiting:
                self._waiting.remove(waiter)
                raise OperationalError(f"no {self._name} became free")
