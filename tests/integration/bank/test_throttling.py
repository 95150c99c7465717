"""Requests are counted in Valkey, and let pass while it is away."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.test import RequestFactory

from bank.embedded.valkey import EmbeddedValkey
from bank.throttling import MAX_SHARE, PAUSE_SECONDS, WINDOW_SECONDS, Allowances, Counters, _is_within, _origin
from tests.fiber_scene import scene as scene
from tests.journeys.stoppable_servers import running_server

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bank.throttling.time.monotonic", clock.monotonic)
    return clock


def calls_of(monkeypatch, name: str) -> list[str]:
    """Return a list that grows with each call of the connections' method `name`."""
    calls: list[str] = []
    method = getattr(redis.Connection, name)

    def called(*args: Any, **options: Any) -> Any:
        calls.append(name)
        return method(*args, **options)

    monkeypatch.setattr(redis.Connection, name, called)
    return calls


def test_each_counter_counts_alone_and_is_forgotten():
    counters, name = Counters(settings.REDIS_URL), f"test:{uuid4()}"
    assert [counters.count(name) for _ in range(3)] == [1, 2, 3]
    assert counters.count(f"{name}:other") == 1
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        assert 0 < valkey.ttl(name) <= WINDOW_SECONDS


def test_processes_count_together():
    name = f"test:{uuid4()}"
    assert [Counters(settings.REDIS_URL).count(name) for _ in range(2)] == [1, 2]


def test_one_count_is_one_round_trip(monkeypatch):
    counters = Counters(settings.REDIS_URL)
    counters.count("test:warm")
    sent = calls_of(monkeypatch, "send_packed_command")
    counters.count("test:warm")
    assert len(sent) == 1


def test_while_valkey_is_away_nobody_waits_for_it(clock, monkeypatch):
    counters, tries = Counters(NOBODY_LISTENS), calls_of(monkeypatch, "connect")
    assert [counters.count("any") for _ in range(10)] == [None] * 10
    assert len(tries) == 1
    clock.seconds += PAUSE_SECONDS
    assert [counters.count("any") for _ in range(10)] == [None] * 10
    assert len(tries) == 2


def test_only_one_request_tries_whether_it_is_back(clock, monkeypatch):
    counters = Counters(NOBODY_LISTENS)
    counters.count("any")
    clock.seconds += PAUSE_SECONDS
    meanwhile = []
    connect = redis.Connection.connect

    def slow_connect(connection: redis.Connection) -> None:
        monkeypatch.setattr(redis.Connection, "connect", lambda self: pytest.fail("a second request tries too"))
        meanwhile.append(counters.count("any"))
        connect(connection)

    monkeypatch.setattr(redis.Connection, "connect", slow_connect)
    assert counters.count("any") is None
    assert meanwhile == [None]


def test_when_valkey_is_back_it_counts_again(clock, tmp_path):
    with running_server(EmbeddedValkey, tmp_path / "valkey") as valkey:
        counters = Counters(valkey.url)
        assert counters.count("any") == 1
        valkey.stop()
        assert counters.count("any") is None
        valkey.start()
        assert counters.count("any") is None
        clock.seconds += PAUSE_SECONDS
        assert counters.count("any") == 1
        assert counters.count("any") == 2


def allowances(limit: int, counters: Counters | None = None) -> Allowances:
    """Return what one process has of everybody's minute."""
    return Allowances(counters=counters or Counters(settings.REDIS_URL), limit=limit)


@pytest.fixture
def minute(monkeypatch) -> Clock:
    """A clock of whole minutes, somewhere that no other test counts in."""
    clock = Clock()
    clock.seconds = uuid4().int % 10**9 * 60.0
    monkeypatch.setattr("bank.throttling.time.time", clock.monotonic)
    return clock


@pytest.mark.parametrize("limit", [1, 5, 100, 250])
def test_a_principal_gets_its_limit_and_no_more_until_the_next_minute(minute, limit):
    process, principal = allowances(limit), f"client-{uuid4()}"
    assert [process.take(principal) for _ in range(limit + 3)] == [True] * limit + [False] * 3
    assert process.take(f"other-{principal}")
    minute.seconds += 60
    assert process.take(principal)


@pytest.mark.parametrize("limit", [5, 1_000, 20_000])
def test_processes_let_no_more_through_together_and_hold_back_less_than_a_share_each(minute, limit):
    processes, principal = [allowances(limit) for _ in range(3)], f"client-{uuid4()}"
    passed = 0
    while processes[passed % 3].take(principal):
        passed += 1
    share = max(1, min(limit // 100, MAX_SHARE))
    assert limit - 3 * (share - 1) <= passed <= limit
    # What the others hold is not lost.
    assert passed + sum(other.take(principal) for other in processes for _ in range(share)) <= limit


def test_threads_of_one_process_let_exactly_the_limit_through(minute):
    process, principal = allowances(1_000), f"client-{uuid4()}"
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: process.take(principal), range(1_500))) == 1_000


def test_most_requests_cost_no_round_trip_and_refused_ones_none(minute, monkeypatch):
    process, principal = allowances(1_000), f"client-{uuid4()}"
    process.take(principal)
    sent = calls_of(monkeypatch, "send_packed_command")
    assert sum(process.take(principal) for _ in range(2_000)) == 999
    assert len(sent) == 99


def test_without_valkey_nobody_is_refused(minute, clock):
    process = allowances(1, Counters(NOBODY_LISTENS))
    assert all(process.take("anybody") for _ in range(10))


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::4", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("", "", True),
        ("", "203.0.113.7", False),
    ],
)
def test_where_requests_come_from(one, other, are_one):
    origins = {_origin(RequestFactory().get("/", REMOTE_ADDR=address)) for address in (one, other)}
    assert (len(origins) == 1) is are_one


class TestInFibers:
    """Requests of one thread are under way at once, and none may stop all others for Valkey's sake."""

    def test_they_get_exactly_the_limit_by_as_few_round_trips(self, scene, minute, monkeypatch):
        process, principal = allowances(1_000), f"client-{uuid4()}"
        process.take(principal)
        sent = calls_of(monkeypatch, "send_packed_command")
        assert sum(scene.run(*[partial(process.take, principal)] * 1_500)) == 999
        assert len(sent) == 99

    def test_while_a_share_is_fetched_others_go_on(self, scene, minute, monkeypatch):
        process, counters = allowances(1_000), Counters(settings.REDIS_URL)
        monkeypatch.setattr(process, "_counters", counters)
        others_went_on, count = Event(), counters.count

        def slow_count(name: str, *, amount: int) -> int | None:
            assert others_went_on.wait(30)
            return count(name, amount=amount)

        monkeypatch.setattr(counters, "count", slow_count)
        fetching = partial(process.take, f"client-{uuid4()}")
        assert scene.run(fetching, fetching, others_went_on.set) == [True, True, None]

    def test_while_somebody_is_turned_away_others_go_on(self, scene, monkeypatch):
        others_went_on, count = Event(), Counters.count

        def slow_count(counters: Counters, name: str) -> int | None:
            assert others_went_on.wait(30)
            return count(counters, name)

        monkeypatch.setattr(Counters, "count", slow_count)
        turned_away = partial(_is_within, 1, f"test:{uuid4()}")
        assert scene.run(turned_away, others_went_on.set) == [True, None]

    def test_without_valkey_nobody_is_refused_and_one_tries(self, scene, minute, clock, monkeypatch):
        process, tries = allowances(1, Counters(NOBODY_LISTENS)), calls_of(monkeypatch, "connect")
        assert scene.run(*[partial(process.take, "anybody")] * 10) == [True] * 10
        assert len(tries) == 1
