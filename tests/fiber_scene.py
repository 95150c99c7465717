"""Fibers, and the event loop that they are fibers of."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bank.fibers import Fibers
from eventstore.waiting import wait_by


class Scene:
    """An event loop, whose fibers end when all that they wait for has happened."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.fibers = Fibers(self.loop)

    def run(self, *tasks: Callable[[], Any]) -> list[Any]:
        """Do all tasks as fibers at the same time; return what they return or raise."""

        async def all_of_them() -> list[Any]:
            ends = [self._started(task) for task in tasks]
            return await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 30)

        return self.loop.run_until_complete(all_of_them())

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
    scene.fibers.close()
    scene.loop.close()
