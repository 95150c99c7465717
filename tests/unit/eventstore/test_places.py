"""Places: so many fibers at once, and the others in their order."""

from functools import partial

import pytest
from django.db import OperationalError

from eventstore.places import Places
from eventstore.waiting import Waiter, new_waiter, wait_by
from tests.fiber_scene import scene as scene


class Room:
    """Somewhere with few places, and who comes and goes there."""

    def __init__(self, places: int) -> None:
        self.places = Places(places, name="seat")
        self.came: list[int] = []
        self.inside = self.most = 0

    def visit(self, number: int, *, fails: bool = False) -> None:
        with self.places.one():
            self.came.append(number)
            self.inside += 1
            self.most = max(self.most, self.inside)
            for _ in range(3):
                new_waiter().let_the_ready_go_first()
            self.inside -= 1
            if fails:
                raise OSError(number)


@pytest.mark.parametrize("places", [1, 2, 5])
def test_no_more_than_there_are_places_and_all_in_their_order(scene, places):
    room = Room(places)
    scene.run(*(partial(room.visit, number) for number in range(8)))
    assert (room.came, room.most, room.inside) == (list(range(8)), places, 0)
    scene.run(*(partial(room.visit, number) for number in range(8)))
    assert (room.came, room.most) == (list(range(8)) * 2, places)


def test_who_fails_gives_the_place_back(scene):
    room = Room(1)
    errors = scene.run(*(partial(room.visit, number, fails=True) for number in range(3)))
    assert [str(error) for error in errors] == ["0", "1", "2"]
    assert scene.run(partial(room.visit, 3)) == [None]


def test_who_waited_has_the_place_before_who_comes_when_it_becomes_free(scene):
    room = Room(1)

    def comes_again() -> None:
        room.visit(1)
        room.visit(3)

    scene.run(comes_again, partial(room.visit, 2))
    assert room.came == [1, 2, 3]


def test_who_gets_none_in_time_is_told_and_takes_none_later(scene, settings):
    settings.DB_CONNECT_TIMEOUT_SECONDS = 0.01
    room = Room(1)
    waiter: list[Waiter] = []
    errors: list[OperationalError] = []

    def holds_it_until_the_other_has_given_up() -> None:
        with room.places.one():
            waiter.append(new_waiter())
            while not errors:
                waiter[0].wait(timeout_seconds=None)

    def waits_in_vain() -> None:
        try:
            room.visit(1)
        except OperationalError as error:
            errors.append(error)
            waiter[0].wake()

    scene.run(holds_it_until_the_other_has_given_up, waits_in_vain)
    assert ([str(error) for error in errors], room.came) == (["no seat became free"], [])
    scene.run(partial(room.visit, 2), partial(room.visit, 3))
    assert (room.came, room.most) == ([2, 3], 1)


def test_threads_that_wait_by_themselves_need_none(scene):
    wait_by(None)
    places = Places(1, name="seat")
    with places.one(), places.one():
        pass
