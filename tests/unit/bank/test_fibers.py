"""Fibers: plain code that waits while its thread goes on with others."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import ContextVar

import pytest

from eventstore.waiting import ThreadWaiter, Waiter, apart, at_length, new_waiter, wait_by
from tests.fiber_scene import scene as scene
from tests.unit.eventstore.purses import HeldStore, carry_out, new_purse, putting

NAME: ContextVar[str] = ContextVar("name", default="nobody")


def test_a_fiber_that_waits_lets_others_go_on_until_it_is_woken(scene):
    seen: list[str] = []
    waiters: list[Waiter] = []

    def waits() -> bool:
        waiters.append(new_waiter())
        seen.append("waits")
        was_woken = waiters[0].wait(timeout_seconds=30)
        seen.append("goes on")
        return was_woken

    def wakes() -> None:
        seen.append("wakes")
        waiters[0].wake()

    assert scene.run(waits, wakes) == [True, None]
    assert seen == ["waits", "wakes", "goes on"]


def test_a_fiber_woken_before_it_waits_does_not_wait(scene):
    def task() -> list[bool]:
        waiter = new_waiter()
        waiter.wake()
        waiter.let_the_ready_go_first()
        return [waiter.wait(timeout_seconds=30), waiter.wait(timeout_seconds=0.001)]

    assert scene.run(task) == [[True, False]]


def test_a_fiber_is_woken_from_another_thread(scene):
    def task() -> bool:
        waiter = new_waiter()
        threading.Timer(0.01, waiter.wake).start()
        return waiter.wait(timeout_seconds=30)

    assert scene.run(task) == [True]


def test_who_lets_the_ready_go_first_comes_after_them(scene):
    seen: list[int] = []

    def first() -> None:
        new_waiter().let_the_ready_go_first()
        seen.append(1)

    assert scene.run(first, lambda: seen.append(2), lambda: seen.append(3)) == [None] * 3
    assert seen == [2, 3, 1]


def test_no_fiber_is_in_an_event_loop(scene):
    """Django refuses its database to code that is in one, and lends each task of one a connection of its own."""

    def task() -> asyncio.AbstractEventLoop | None:
        new_waiter().look_away()
        return asyncio._get_running_loop()

    async def outside() -> asyncio.AbstractEventLoop:
        scene.fibers.start(lambda: None)
        return asyncio.get_running_loop()

    assert scene.run(task) == [None]
    assert scene.loop.run_until_complete(outside()) is scene.loop


def test_a_call_apart_is_made_in_another_thread_for_the_one_who_waits(scene):
    begun, over = threading.Event(), threading.Event()

    def call() -> tuple[str, int]:
        begun.set()
        assert over.wait(30)
        return NAME.get(), threading.get_ident()

    def waits() -> tuple[str, int]:
        NAME.set("Ann")
        return apart(call)

    def goes_on() -> str:
        assert begun.wait(30)
        over.set()
        return NAME.get()

    [(name, thread), other] = scene.run(waits, goes_on)
    assert (name, other) == ("Ann", "nobody")
    assert thread != threading.get_ident()


def test_what_a_call_apart_raises_is_raised_to_who_asked(scene):
    def call() -> None:
        raise TimeoutError("its own")

    [error] = scene.run(lambda: apart(call))
    assert isinstance(error, TimeoutError)
    assert str(error) == "its own"


def test_what_takes_long_is_done_in_a_request_s_thread_and_keeps_nothing_from_being_done_apart(scene):
    over = threading.Event()

    def long() -> str:
        assert over.wait(30)
        return threading.current_thread().name

    def short() -> str:
        name = apart(lambda: threading.current_thread().name)
        over.set()
        return name

    names = scene.run(*[lambda: at_length(long)] * 5, short)
    assert [name.partition("_")[0] for name in names] == ["request"] * 5 + ["apart"]


def test_outside_of_fibers_a_thread_waits_by_itself(scene):
    assert isinstance(new_waiter(), ThreadWaiter)
    assert apart(threading.get_ident) == at_length(threading.get_ident) == threading.get_ident()
    wait_by(None)
    assert apart(threading.get_ident) == at_length(threading.get_ident) == threading.get_ident()


@pytest.mark.parametrize("commands", [1, 2, 30])
def test_commands_of_fibers_share_a_round(scene, commands):
    store, purses = HeldStore(), [new_purse() for _ in range(commands)]
    outcomes = scene.run(*(lambda purse=purse: carry_out(putting(purse), store) for purse in purses))
    assert [outcome.result for outcome in outcomes] == [{"version": 1}] * commands
    assert store.sizes == [commands]


def test_commands_of_fibers_and_of_threads_answer_each_other(scene):
    store, purse = HeldStore(), new_purse()
    with ThreadPoolExecutor(1) as threads, ExitStack() as until_all_wait:
        until_all_wait.enter_context(store.holding_the_next())
        first = threads.submit(carry_out, putting(purse), store)
        assert store.is_held.wait(30)
        # The thread leads, and hands over to a fiber when it has its answer.
        *outcomes, _ = scene.run(*[lambda: carry_out(putting(purse), store)] * 3, until_all_wait.close)
        outcomes.append(first.result(30))
    assert sorted(outcome.result["version"] for outcome in outcomes) == [1, 2, 3, 4]
    assert store.sizes == [1, 3]
