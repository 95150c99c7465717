"""Requests are counted in Valkey, and let pass while it is away."""

from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from bank.embedded.valkey import EmbeddedValkey
from bank.throttling import PAUSE_SECONDS, WINDOW_SECONDS, Counters
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
