"""Fibers, and the event loop that they are fibers of."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from bank.fibers import THREADS_APART, Fibers
from eventstore.waiting import wait_by


class Scene:
    """An event loop, whose fibers end when all that they wait for has happened."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.threads = ThreadPoolExecutor(1, thread_name_prefix="request")
        self.fibers = Fibers(self.loop, threads=self.threads)

    def run(self, *tasks: Callable[[], Any]) -> list[Any]:
        """Do all tasks as fibers at the same time; return what they return or raise."""

        async def all_of_them() -> list[Any]:
            ends = [self._started(task) for task in tasks]
            return await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 30)

        return self.loop.run_until_complete(all_of_them())

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Let fibers that nobody waits for go on until something has come of them."""

        async def met() -> None:
            while not condition():
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(met(), 30))

    def close_connections_apart(self) -> None:
        """Close what other threads have opened, each its own."""
        self.threads.submit(connections.close_all).result(30)
        all_of_them = Barrier(THREADS_APART)

        def close() -> None:
            all_of_them.wait(30)
            connections.close_all()

        for closed in [self.fibers._apart.submit(close) for _ in range(THREADS_APART)]:
            closed.result(30)

    def _started(self, task: Callable[[], Any]) -> asyncio.Future[Any]:
        end: asyncio.Future[Any] = self.loop.create_future()

        def to_the_end() -> None:
            try:
                end.set_result(task())
            except Exception as error:
                end.set_exception(error)

        self.fibers.start(to_the_end)
        return end


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    wait_by(None)
    scene.close_connections_apart()
    scene.fibers.close()
    scene.threads.shutdown()
    scene.loop.close()
