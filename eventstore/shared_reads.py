"""What many fibers ask for at the same time: reads of one thing each, done together, and the same call, made once."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Generic, TypeVar

from eventstore.waiting import Waiter, apart, new_waiter, waits_by_itself

Key = TypeVar("Key")
Found = TypeVar("Found")


class _Asked(Generic[Key, Found]):
    """One key, and who waits for what is found under it."""

    def __init__(self, key: Key, waiter: Waiter) -> None:
        self.key = key
        self.waiter = waiter
        self.found: Found | None = None
        self.error: BaseException | None = None
        self.is_answered = False
        self.is_appointed = False

    def answer(self, found: Found | None, error: BaseException | None) -> None:
        """Say what was found, or what was raised instead, and let whoever waits go on."""
        self.found, self.error, self.is_answered = found, error, True
        self.waiter.wake()


def _answered(mine: _Asked[Key, Found]) -> Found:
    while not mine.is_answered:
        mine.waiter.wait(timeout_seconds=None)
    if mine.error:
        # Of each one's own: it is raised in many fibers, and grows a traceback in each.
        raise copy(mine.error) from mine.error
    return mine.found  # type: ignore[return-value]  # None may be what was found


class SharedReads(Generic[Key, Found]):
    """Lets fibers that ask while a read is under way share the next one; a thread that waits by itself reads alone.

    `read` returns what is under each of some keys, in their order. It begins after all that it answers was asked for,
    so nobody is told of a time before he asked.
    """

    def __init__(self, read: Callable[[list[Key]], Sequence[Found]]) -> None:
        self._read = read
        self._asked: list[_Asked[Key, Found]] = []
        self._is_busy = False

    def get(self, key: Key) -> Found:
        """Return what is found under `key`. Raises what `read` raises."""
        if waits_by_itself():
            [found] = self._read([key])
            return found
        mine = _Asked[Key, Found](key, new_waiter())
        # All that ask are fibers of one thread, and change places only where they wait: there is nothing to lock.
        self._asked.append(mine)
        if not self._is_busy:
            self._is_busy = mine.is_appointed = True
        while not (mine.is_answered or mine.is_appointed):
            mine.waiter.wait(timeout_seconds=None)
        if mine.is_appointed:
            self._lead(mine)
        return _answered(mine)

    def _lead(self, mine: _Asked[Key, Found]) -> None:
        batch: list[_Asked[Key, Found]] = [mine]
        error: BaseException | None = AssertionError("the read ended without an answer")
        found: Sequence[Found | None] = ()
        try:
            mine.waiter.let_the_ready_go_first()
            batch, self._asked = self._asked, []
            found = self._read([one.key for one in batch])
            error = None
        except Exception as raised:
            error = raised
        finally:
            for one, its_own in zip(batch, [None] * len(batch) if error else found, strict=True):
                one.answer(its_own, error)
            self._hand_over()

    def _hand_over(self) -> None:
        self._is_busy = bool(self._asked)
        if self._asked:
            self._asked[0].is_appointed = True
            self._asked[0].waiter.wake()


class SharedCalls(Generic[Key, Found]):
    """Lets fibers that need the same call, while it is under way in a thread, wait for its one result."""

    def __init__(self) -> None:
        self._under_way: dict[Key, list[_Asked[Key, Found]]] = {}

    def result(self, key: Key, call: Callable[[], Found]) -> Found:
        """Return what `call` returns; it is made for the first of those who ask. Raises what it raises."""
        if waits_by_itself():
            return call()
        if (waiting := self._under_way.get(key)) is None:
            return self._made(key, call)
        waiting.append(mine := _Asked[Key, Found](key, new_waiter()))
        return _answered(mine)

    def is_under_way(self, key: Key) -> bool:
        """Tell whether somebody waits for it already."""
        return key in self._under_way

    def _made(self, key: Key, call: Callable[[], Found]) -> Found:
        waiting = self._under_way[key] = []
        error: BaseException | None = AssertionError("the call ended without a result")
        found: Found | None = None
        try:
            found = apart(call)
            error = None
            return found
        except Exception as raised:
            error = raised
            raise
        finally:
            del self._under_way[key]
            for one in waiting:
                one.answer(found, error)
