"""Whoever leads may die, stall or be away, and nobody waits for ever."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from eventstore import commit_group
from eventstore.exceptions import (
    OutcomeUnknown,
    Overloaded,
    StoreUnavailable,
)
from eventstore.execution import Execution, execute_many
from eventstore.pending import Caller
from tests.polling import wait_until
from tests.unit.eventstore.purses import (
    Crowd,
    Stop,
    carry_out,
    new_purse,
    putting,
    raising,
    taking,
)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that have passed: no round stalls and nobody gives up before a test sets them."""
    now = [0.0]
    monkeypatch.setattr(commit_group, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(commit_group, "STALLED_SECONDS", 0.02)
    return now


class TestLeadersThatDie:
    """Whoever led is gone: nobody else is lost."""

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_while_it_appended(self, crowd, where):
        purse, other = new_purse(), new_purse()
        getattr(crowd.store, where).extend([lambda: None, raising(Stop())])
        leader, keyed, unkeyed = crowd.together(putting(purse), putting(purse, key="k"), putting(other))
        assert isinstance(leader, Stop)
        # The key tells; without one nobody can.
        assert keyed.replayed == (where == "after")
        assert isinstance(unkeyed, OutcomeUnknown)
        was_written = where == "after"
        assert crowd.store.coins(other) == [1] * was_written
        assert crowd.store.coins(purse) == [1, 1] if was_written else [1]
        assert carry_out(putting(purse), crowd.store).result == {"version": 2 + was_written}

    def test_while_it_decided(self, crowd):
        purse = new_purse()
        outcomes = crowd.together(putting(purse, decide=raising(Stop())), putting(purse), putting(purse, key="k"))
        assert isinstance(outcomes[0], Stop)
        assert [outcome.result for outcome in outcomes[1:]] == [{"version": 1}, {"version": 2}]

    def test_while_it_decided_what_another_asked_for(self, crowd):
        purse = new_purse()
        leader, culprit, third = crowd.together(putting(purse), putting(purse, decide=raising(Stop())), putting(purse))
        # It is the leader's thread that is stopped, and then that of whoever decides the same.
        assert isinstance(leader, Stop)
        assert isinstance(culprit, Stop)
        assert third.result == {"version": 1}

    def test_while_it_loaded(self, crowd, monkeypatch):
        purse, load = new_purse(), crowd.store.load
        steps = [lambda: None, raising(Stop())]

        def load_or_stop(*args, **keywords):
            if steps:
                steps.pop(0)()
            return load(*args, **keywords)

        monkeypatch.setattr(crowd.store, "load", load_or_stop)
        outcomes = crowd.together(*[putting(purse) for _ in range(3)])
        assert isinstance(outcomes[0], Stop)
        assert [outcome.result for outcome in outcomes[1:]] == [{"version": 1}, {"version": 2}]

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_a_connection_that_breaks_under_it(self, crowd, where):
        purse, other = new_purse(), new_purse()
        getattr(crowd.store, where).extend([lambda: None, raising(OutcomeUnknown("cut"))])
        leader, keyed, unkeyed = crowd.together(putting(purse, key="l"), putting(purse, key="k"), putting(other))
        assert [leader.replayed, keyed.replayed] == [where == "after"] * 2
        assert isinstance(unkeyed, OutcomeUnknown)
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_log_that_is_away(self, crowd):
        crowd.store.before.extend([lambda: None, raising(StoreUnavailable("away"))])
        errors = crowd.together(*[putting(new_purse()) for _ in range(3)])
        assert [type(error) for error in errors] == [StoreUnavailable] * 3
        # Each raises an error of its own: a traceback belongs to one thread.
        assert len({id(error) for error in errors}) == 3

    def test_an_outcome_stays_unknown_while_the_log_is_away(self, crowd, monkeypatch):
        def cut() -> None:
            monkeypatch.setattr(crowd.store, "load", raising(StoreUnavailable("away")))
            raise OutcomeUnknown("cut")

        crowd.store.after.extend([lambda: None, cut])
        errors = crowd.together(*[putting(new_purse(), key=key) for key in "ab"])
        assert [type(error) for error in errors] == [OutcomeUnknown] * 2
        assert errors[0] is not errors[1]

    def test_an_error_that_nobody_foresaw(self, crowd):
        crowd.store.after.extend([lambda: None, raising(RuntimeError("odd"))])
        errors = crowd.together(*[putting(new_purse()) for _ in range(2)])
        assert [type(error) for error in errors] == [OutcomeUnknown] * 2

    def test_a_round_that_stalls_keeps_nobody_waiting(self, crowd, monkeypatch):
        monkeypatch.setattr(commit_group, "STALLED_SECONDS", 0.05)
        purse, other = new_purse(), new_purse()
        with ThreadPoolExecutor(3) as threads:
            with crowd.store.holding_the_next():
                stalled = threads.submit(carry_out, putting(purse), crowd.store)
                assert crowd.store.is_held.wait(30)
                others = [threads.submit(carry_out, putting(other), crowd.store) for _ in range(2)]
                assert sorted(future.result(30).result["version"] for future in others) == [1, 2]
                assert not stalled.done()
            assert stalled.result(30).result == {"version": 1}
        assert carry_out(putting(purse), crowd.store).result == {"version": 2}

    def test_who_was_taken_over_by_another_waits_in_its_turn(self, crowd, monkeypatch):
        monkeypatch.setattr(commit_group, "STALLED_SECONDS", 0.05)
        purse = new_purse()
        with ThreadPoolExecutor(2) as threads:
            with crowd.store.holding_the_next():
                stalled = threads.submit(carry_out, putting(purse, coins=2), crowd.store)
                assert crowd.store.is_held.wait(30)
                assert threads.submit(carry_out, putting(purse, coins=1), crowd.store).result(30).result == {
                    "version": 1
                }
            # It was decided on a stream without events, and is decided again.
            assert stalled.result(30).result == {"version": 2}
        assert crowd.store.coins(purse) == [1, 2]


class TestBounds:
    """Nothing waits for ever, and no more than may."""

    def test_a_queue_that_is_full_turns_away(self, crowd, settings):
        settings.EXECUTE_QUEUE_COMMANDS = 3
        purse = new_purse()
        turned_away: list[BaseException] = []

        def come_too_late() -> None:
            with pytest.raises(Overloaded) as overloaded:
                carry_out(putting(purse), crowd.store)
            turned_away.append(overloaded.value)

        outcomes = crowd.together(*[putting(purse) for _ in range(3)], meanwhile=come_too_late)
        assert len(turned_away) == 1
        assert [outcome.result["version"] for outcome in outcomes] == [1, 2, 3]
        assert carry_out(putting(purse), crowd.store).result == {"version": 4}

    def test_who_waits_too_long_in_the_queue_was_not_begun(self, crowd, settings):
        settings.EXECUTE_WAIT_SECONDS = 0.05
        purse = new_purse()
        with ThreadPoolExecutor(2) as threads, crowd.store.holding_the_next():
            threads.submit(carry_out, putting(new_purse()), crowd.store)
            assert crowd.store.is_held.wait(30)
            late = threads.submit(carry_out, putting(purse), crowd.store)
            assert isinstance(late.exception(30), Overloaded)
        assert crowd.store.coins(purse) == []

    def test_who_waits_too_long_for_an_append_does_not_know_its_outcome(self, crowd, clock):
        purse = new_purse()

        def hold_the_round() -> None:
            held.append(crowd.store.holding_the_next())
            held[0].__enter__()

        held: list[Any] = []
        with ThreadPoolExecutor(3) as threads:
            with crowd.store.holding_the_next():
                first = threads.submit(carry_out, putting(new_purse()), crowd.store)
                assert crowd.store.is_held.wait(30)
                leader = threads.submit(carry_out, putting(purse), crowd.store)
                wait_until(lambda: crowd.store.group.commands_waiting() == 1)
                follower = threads.submit(carry_out, putting(purse), crowd.store)
                wait_until(lambda: crowd.store.group.commands_waiting() == 2)
                crowd.store.after = [hold_the_round]
            first.result(30)
            assert crowd.store.is_held.wait(30)
            clock[0] = 11.0
            assert isinstance(follower.exception(30), OutcomeUnknown)
            held[0].__exit__(None, None, None)
            assert leader.result(30).result == {"version": 1}
        assert crowd.store.coins(purse) == [1, 1]

    def test_who_is_stopped_while_it_waits_leaves_nobody_waiting(self, crowd, monkeypatch):
        purse, wait = new_purse(), Caller.wait
        stopped: list[Caller] = []

        def wait_or_be_stopped(caller: Caller, **timeout: float) -> bool:
            if not stopped:
                stopped.append(caller)
                raise Stop
            return wait(caller, **timeout)

        monkeypatch.setattr(Caller, "wait", wait_or_be_stopped)
        with ThreadPoolExecutor(3) as threads:
            with crowd.store.holding_the_next():
                first = threads.submit(carry_out, putting(purse), crowd.store)
                assert crowd.store.is_held.wait(30)
                waiting = threads.submit(carry_out, putting(purse), crowd.store)
                assert isinstance(waiting.exception(30), Stop)
                assert crowd.store.group.commands_waiting() == 0
                last = threads.submit(carry_out, putting(purse), crowd.store)
                wait_until(lambda: crowd.store.group.commands_waiting() == 1)
            assert [future.result(30).result["version"] for future in (first, last)] == [1, 2]
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_process_that_was_forked_begins_with_nobody_waiting(self, crowd):
        with ThreadPoolExecutor(1) as threads:
            with crowd.store.holding_the_next():
                held = threads.submit(carry_out, putting(new_purse()), crowd.store)
                assert crowd.store.is_held.wait(30)
                child = os.fork()
                if child == 0:
                    # A thread leads in the parent, and there is no such thread here.
                    crowd.store._go_on = None
                    os._exit(0 if carry_out(putting(new_purse()), crowd.store).result == {"version": 1} else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            held.result(30)


class TestHalfOfACaller:
    """Some of a caller's commands are in a round that stalls, and the rest is in the queue."""

    @contextmanager
    def stalled_with_all_but_the_last(self, crowd: Crowd, *executions: Execution) -> Iterator[Future[Any]]:
        """Hold the round of another that has all but the last of a caller's `executions`, for as long as the block."""
        store = crowd.store

        def hold_the_round() -> None:
            held.append(store.holding_the_next())
            held[0].__enter__()

        held: list[Any] = []
        with ThreadPoolExecutor(3) as threads:
            with store.holding_the_next():
                first = threads.submit(carry_out, putting(new_purse()), store)
                assert store.is_held.wait(30)
                leader = threads.submit(carry_out, putting(new_purse()), store)
                wait_until(lambda: store.group.commands_waiting() == 1)
                caller = threads.submit(execute_many, executions=executions, store=store)
                wait_until(lambda: store.group.commands_waiting() == 1 + len(executions))
                store.after = [hold_the_round]
            first.result(30)
            assert store.is_held.wait(30)
            try:
                yield caller
            finally:
                held[0].__exit__(None, None, None)
            leader.result(30)

    def test_waits_with_its_deadline_while_the_round_does_not_end(self, crowd, clock, monkeypatch, settings):
        settings.EXECUTE_BATCH_COMMANDS = 4
        looks = count_waits(monkeypatch)
        purse = new_purse()
        with self.stalled_with_all_but_the_last(crowd, *[putting(purse) for _ in range(4)]) as caller:
            clock[0] = 1.0
            looks_before = looks()
            # Each time it finds that there is nothing it could do, and waits again.
            wait_until(lambda: looks() > looks_before + 2, deadline_seconds=5)
            clock[0] = 11.0
            answers = caller.result(30)
        assert [type(answer) for answer in answers] == [OutcomeUnknown] * 3 + [Overloaded]
        assert crowd.store.coins(purse) == [1, 1, 1]

    def test_is_not_overtaken_by_its_rest(self, crowd, clock, settings):
        settings.EXECUTE_BATCH_COMMANDS = 4
        purse, other = new_purse(), new_purse()
        carry_out(putting(purse), crowd.store)
        executions = [*[putting(purse, key=key) for key in "abc"], taking(purse, coins=4, key="d")]
        with self.stalled_with_all_but_the_last(crowd, *executions) as caller:
            clock[0] = 1.0
            # Somebody else takes over, and does all that may be done.
            assert carry_out(putting(other), crowd.store).result == {"version": 1}
            assert carry_out(putting(other), crowd.store).result == {"version": 2}
            assert crowd.store.group.commands_waiting() == 1
        answers = caller.result(30)
        assert [answer.refused for answer in answers] == [False] * 4
        assert crowd.store.coins(purse) == [1, 1, 1, 1, -4]


def count_waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what tells how often any caller began to wait."""
    waits: list[Caller] = []
    wait = Caller.wait

    def noted_wait(caller: Caller, **timeout: float) -> bool:
        waits.append(caller)
        return wait(caller, **timeout)

    monkeypatch.setattr(Caller, "wait", noted_wait)
    return lambda: len(waits)
