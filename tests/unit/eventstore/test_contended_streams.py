"""Streams that several processes write to are known for it, for a while, and commands on them are taken apart."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from eventstore.contended_streams import CONTENDED_SECONDS, MAX_STREAMS, OVERTAKEN_TIMES, ContendedStreams
from eventstore.exceptions import StoreUnavailable
from eventstore.execution import execute_many
from eventstore.records import Outcome
from tests.unit.eventstore.purses import Crowd, carry_out, elsewhere, new_purse, putting, raising, taking


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that stands still until its one element is changed."""
    now = [1000.0]
    monkeypatch.setattr("eventstore.contended_streams.time.monotonic", lambda: now[0])
    return now


def overtake(contended: ContendedStreams, stream_id: str, *, times: int = OVERTAKEN_TIMES) -> None:
    for _ in range(times):
        contended.overtaken(stream_id)


class TestContendedStreams:
    """What is contended, and how long."""

    def test_a_stream_is_contended_once_a_process_was_overtaken_on_it_a_few_times(self, clock):
        contended = ContendedStreams()
        overtake(contended, "hot", times=OVERTAKEN_TIMES - 1)
        assert not contended.has("hot")
        overtake(contended, "hot", times=1)
        assert contended.has("hot")
        assert not contended.has("other")

    def test_it_is_forgotten_when_nobody_is_overtaken_any_more(self, clock):
        contended = ContendedStreams()
        overtake(contended, "hot")
        clock[0] += CONTENDED_SECONDS * 0.9
        assert contended.has("hot")
        overtake(contended, "hot", times=1)
        clock[0] += CONTENDED_SECONDS * 0.9
        assert contended.has("hot")
        clock[0] += CONTENDED_SECONDS
        assert not contended.has("hot")

    def test_a_stream_on_which_one_is_overtaken_now_and_then_is_not_contended(self, clock):
        contended = ContendedStreams()
        for _ in range(10):
            overtake(contended, "cool", times=1)
            clock[0] += CONTENDED_SECONDS * 2
        assert not contended.has("cool")

    def test_only_so_many_streams_are_remembered(self, clock):
        contended = ContendedStreams()
        for number in range(MAX_STREAMS + 1):
            overtake(contended, f"hot-{number}")
        assert not contended.has("hot-0")
        assert contended.has(f"hot-{MAX_STREAMS}")


class NotingStore:
    """Notes the streams of each append, and whether it was made with the right of way."""

    def __init__(self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: list[tuple[bool, list[str]]] = []
        store, has_way = crowd.store, [False]
        append, right_of_way = store.append, store.right_of_way

        class Way:
            def __enter__(self) -> bool:
                has_way[0] = True
                return right_of_way().__enter__()

            def __exit__(self, *_: object) -> None:
                has_way[0] = False

        def noted(commits: Any) -> Any:
            self.rounds.append((has_way[0], [commit.streams[0].stream_id for commit in commits]))
            return append(commits)

        monkeypatch.setattr(store, "right_of_way", Way)
        monkeypatch.setattr(store, "append", noted)


class TestCommandsOnContendedStreams:
    """They keep everybody else from writing, and so have rounds of their own."""

    @pytest.fixture
    def crowd(self) -> Crowd:
        return Crowd()

    def test_they_are_taken_with_the_right_of_way_and_the_others_without(self, crowd, clock, monkeypatch):
        hot, cool, cold = new_purse(), new_purse(), new_purse()
        overtake(crowd.store.group.contended, hot)
        noting = NotingStore(crowd, monkeypatch)
        outcomes = crowd.together(putting(cool), putting(hot), putting(cold), putting(hot))
        assert [outcome.result["version"] for outcome in outcomes] == [1, 1, 1, 2]
        assert noting.rounds[1:] == [(False, [cool, cold]), (True, [hot, hot])]

    def test_what_one_caller_sent_stays_in_its_order_and_shares_their_round(self, crowd, clock, monkeypatch):
        hot, cool = new_purse(), new_purse()
        overtake(crowd.store.group.contended, hot)
        noting = NotingStore(crowd, monkeypatch)
        answers = execute_many(
            executions=[putting(cool), putting(hot), putting(cool), putting(cool), putting(hot)], store=crowd.store
        )
        assert [answer.result["version"] for answer in answers] == [1, 1, 2, 3, 2]
        assert noting.rounds == [(False, [cool]), (True, [hot, cool, cool, hot])]

    def test_several_commands_that_one_write_overtook_count_once(self, crowd, clock):
        purse = new_purse()
        carry_out(putting(purse), crowd.store)
        refused = [taking(purse, coins=100) for _ in range(OVERTAKEN_TIMES)]
        conflicts = REGISTRY.get_sample_value("eventstore_conflicts_total") or 0.0
        crowd.together(*refused, meanwhile=lambda: elsewhere(putting(purse), crowd.store))
        assert REGISTRY.get_sample_value("eventstore_conflicts_total") == conflicts + OVERTAKEN_TIMES
        assert not crowd.store.group.contended.has(purse)

    def test_without_it_they_are_told_and_the_others_go_on(self, crowd, clock, monkeypatch):
        hot, cool = new_purse(), new_purse()
        overtake(crowd.store.group.contended, hot)
        monkeypatch.setattr(crowd.store, "right_of_way", raising(StoreUnavailable("somebody has it")))
        answers = crowd.together(putting(hot), putting(cool), putting(hot))
        assert [type(answer) for answer in answers] == [StoreUnavailable, Outcome, StoreUnavailable]
        assert crowd.store.coins(hot) == []

    def test_an_error_that_nobody_foresaw_is_theirs_alone(self, crowd, clock, monkeypatch):
        hot, cool = new_purse(), new_purse()
        overtake(crowd.store.group.contended, hot)
        monkeypatch.setattr(crowd.store, "right_of_way", raising(LookupError("odd")))
        answers = crowd.together(putting(cool), putting(hot))
        assert [type(answer) for answer in answers] == [Outcome, LookupError]

    def test_a_command_inside_a_command_has_it_too(self, crowd, clock, monkeypatch):
        hot, inner = new_purse(), []
        overtake(crowd.store.group.contended, hot)
        noting = NotingStore(crowd, monkeypatch)
        crowd.store.before.append(lambda: inner.append(carry_out(putting(hot), crowd.store)))
        carry_out(putting(new_purse()), crowd.store)
        assert inner[0].result == {"version": 1}
        assert noting.rounds[1] == (True, [hot])
