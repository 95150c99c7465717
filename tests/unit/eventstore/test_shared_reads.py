"""What many fibers ask for at the same time: done together, or once."""

import threading
from functools import partial

import pytest

from eventstore.shared_reads import SharedCalls, SharedReads
from eventstore.waiting import new_waiter, wait_by
from tests.fiber_scene import scene as scene


class Shelf:
    """Where each thing is found by its name, and some reads fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.error: Exception | None = None

    def read(self, names: list[str]) -> list[str | None]:
        self.batches.append(list(names))
        if self.error:
            raise self.error
        return [None if name == "lost" else name.upper() for name in names]


def test_fibers_that_ask_at_once_share_a_read(scene):
    shelf = Shelf()
    reads = SharedReads(shelf.read)
    assert scene.run(*(partial(reads.get, name) for name in ("a", "lost", "b", "a"))) == ["A", None, "B", "A"]
    assert shelf.batches == [["a", "lost", "b", "a"]]
    assert scene.run(partial(reads.get, "c")) == ["C"]
    assert shelf.batches[1:] == [["c"]]


def test_who_asks_while_a_read_is_under_way_has_the_next(scene):
    """He may have written something since it began, and must see that."""
    shelf = Shelf()

    def slow(names: list[str]) -> list[str | None]:
        for _ in range(3):
            new_waiter().let_the_ready_go_first()
        return shelf.read(names)

    reads = SharedReads(slow)

    def late(name: str) -> str | None:
        new_waiter().let_the_ready_go_first()
        return reads.get(name)

    assert scene.run(partial(reads.get, "a"), partial(late, "b"), partial(late, "c")) == ["A", "B", "C"]
    assert shelf.batches in ([["a"], ["b", "c"]], [["a", "b", "c"]])
    assert scene.run(partial(reads.get, "d")) == ["D"]


def test_what_a_read_raises_is_raised_to_all_who_asked(scene):
    shelf = Shelf()
    shelf.error = OSError("away")
    reads = SharedReads(shelf.read)
    errors = scene.run(partial(reads.get, "a"), partial(reads.get, "b"))
    assert [str(error) for error in errors] == ["away"] * 2
    # Of each one's own: it grows a traceback where it is raised.
    assert errors[0] is not errors[1]
    assert [error.__cause__ for error in errors] == [shelf.error] * 2
    shelf.error = None
    assert scene.run(partial(reads.get, "a")) == ["A"]


def test_a_thread_reads_alone():
    wait_by(None)
    shelf = Shelf()
    assert SharedReads(shelf.read).get("a") == "A"


@pytest.mark.parametrize("error", [None, LookupError("no such thing")])
def test_a_call_is_made_once_for_all_who_need_it(scene, error):
    calls, made_in = SharedCalls[str, str](), []
    all_wait = threading.Event()

    def call() -> str:
        made_in.append(threading.get_ident())
        assert all_wait.wait(30)
        if error:
            raise error
        return "result"

    results = scene.run(*[partial(calls.result, "key", call)] * 3, all_wait.set)
    assert [str(result) for result in results] == [str(error or "result")] * 3 + ["None"]
    assert [isinstance(result, LookupError) for result in results] == [error is not None] * 3 + [False]
    assert len(made_in) == 1
    assert made_in[0] != threading.get_ident()
    assert not calls.is_under_way("key")
