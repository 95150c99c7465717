"""Commands that come at once share a call, and each is answered as if it had come alone."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from eventstore import commit_group
from eventstore.chain import event_hash
from eventstore.exceptions import (
    IdempotencyKeyReused,
    InvalidAppend,
    InvalidEventData,
    OutcomeUnknown,
    Overloaded,
    StoreUnavailable,
    VersionConflict,
)
from eventstore.execution import Execution, StreamKind, execute_many, load_state
from eventstore.pending import Caller
from eventstore.records import CommandContext, Decision, DraftEvent, Outcome
from tests.polling import wait_until
from tests.unit.eventstore.purses import (
    Crowd,
    HeldStore,
    Stop,
    carry_out,
    elsewhere,
    new_purse,
    putting,
    stream,
    taking,
)

COUNTS = StreamKind(
    snapshot_schema_version=2,
    initial=lambda: 0,
    apply=lambda count, event_type, schema_version, data: count + 1,
    to_snapshot=lambda count: {"count": count},
    from_snapshot=lambda state: state["count"],
)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def raising(error: BaseException) -> Any:
    def step(*_: object, **__: object) -> None:
        raise error

    return step


def conflicts() -> float:
    return REGISTRY.get_sample_value("eventstore_conflicts_total") or 0.0


def assert_chain_holds(store: HeldStore, stream_id: str) -> None:
    link = b""
    for event in store.events(stream_id):
        link = event_hash(previous_hash=link, stream_id=stream_id, version=event.version, event=event)
        assert event.hash == link


class TestSharing:
    """Several commands, one call."""

    def test_what_comes_while_an_append_is_under_way_shares_the_next(self, crowd):
        purses = [new_purse() for _ in range(5)]
        outcomes = crowd.together(*map(putting, purses))
        assert [outcome.result for outcome in outcomes] == [{"version": 1}] * 5
        assert [outcome.last_position for outcome in outcomes] == [2, 3, 4, 5, 6]
        assert crowd.store.sizes == [1, 5]
        # One for who came first, one for all who came together.
        assert crowd.store.loads == 2

    def test_who_comes_alone_is_carried_out_in_its_own_thread(self, crowd, monkeypatch):
        monkeypatch.setattr(Thread, "start", raising(AssertionError("a thread")))
        assert carry_out(putting(new_purse()), crowd.store).result == {"version": 1}

    def test_commands_on_one_stream_build_on_each_other(self, crowd):
        purse, before = new_purse(), conflicts()
        outcomes = crowd.together(
            putting(purse, coins=5),
            taking(purse, coins=3),
            taking(purse, coins=3),
            putting(purse),
            taking(purse, coins=3),
        )
        assert [outcome.refused for outcome in outcomes] == [False, False, True, False, False]
        assert [outcome.result.get("version") for outcome in outcomes] == [1, 2, None, 3, 4]
        assert crowd.store.coins(purse) == [5, -3, 1, -3]
        assert crowd.store.sizes == [1, 5]
        assert conflicts() == before
        assert_chain_holds(crowd.store, purse)

    def test_a_command_on_two_streams_sees_what_the_others_did_to_each(self, crowd):
        one, other = new_purse(), new_purse()
        outcomes = crowd.together(
            putting(one, coins=3), putting(other, coins=2), taking(one, other, coins=2), taking(other, coins=1)
        )
        assert [outcome.refused for outcome in outcomes] == [False, False, False, True]
        assert crowd.store.sizes == [1, 4]

    def test_a_batch_is_bounded(self, crowd, settings):
        settings.EXECUTE_BATCH_COMMANDS = 2
        outcomes = crowd.together(*[putting(new_purse()) for _ in range(5)])
        assert all(isinstance(outcome, Outcome) for outcome in outcomes)
        assert crowd.store.sizes == [1, 2, 2, 1]

    def test_snapshots_are_written_within_a_batch_too(self, crowd, settings):
        settings.SNAPSHOT_EVERY_EVENTS = 3
        purse = new_purse()
        crowd.together(*[putting(purse) for _ in range(7)])
        state = load_state(stream=stream(purse), store=crowd.store)
        assert (state.version, state.state, state.snapshot_version) == (7, 7, 6)

    def test_a_stream_of_two_kinds_in_one_batch(self, crowd):
        purse = new_purse()

        def decide_by_count(states, command, now, new_id):
            draft = DraftEvent(event_id=new_id(), event_type="Taken", schema_version=1, data={"coins": 0})
            return Decision(events={purse: (draft,)}, result={"count": states[purse].state})

        counting = Execution(
            streams=[stream(purse, COUNTS)], command=None, decide=decide_by_count, context=CommandContext()
        )
        outcomes = crowd.together(putting(purse), counting, putting(purse), counting)
        assert sorted(outcome.result.get("count", -1) for outcome in outcomes)[2:] in (
            [0, 1],
            [0, 3],
            [1, 2],
            [1, 3],
            [2, 3],
        )
        assert len(crowd.store.events(purse)) == 4
        assert_chain_holds(crowd.store, purse)


class TestKeys:
    """One key, one effect."""

    def test_a_key_that_comes_twice_in_a_batch_is_done_once(self, crowd):
        purse = new_purse()
        first, again, after = crowd.together(
            putting(purse, coins=5, key="k"), putting(purse, coins=5, key="k"), putting(purse)
        )
        assert (first.replayed, again.replayed) == (False, True)
        assert (again.result, again.last_position) == (first.result, first.last_position)
        assert after.result == {"version": 2}
        assert crowd.store.coins(purse) == [5, 1]
        assert crowd.store.sizes == [1, 2]

    def test_a_refusal_is_repeated_as_well(self, crowd):
        purse = new_purse()
        first, again = crowd.together(taking(purse, coins=5, key="k"), taking(purse, coins=5, key="k"))
        assert (first.refused, again.refused, again.replayed) == (True, True, True)

    def test_another_command_under_the_key_of_the_batch_is_told_apart(self, crowd):
        purse = new_purse()
        first, other = crowd.together(putting(purse, key="k"), putting(purse, coins=9, key="k", fingerprint="other"))
        assert isinstance(first, Outcome)
        assert isinstance(other, IdempotencyKeyReused)
        assert crowd.store.coins(purse) == [1]

    def test_a_repeated_key_goes_on_alone_if_the_first_has_no_verdict(self, crowd):
        purse = new_purse()
        failing = putting(purse, key="k", decide=raising(RuntimeError("odd")))
        first, second = crowd.together(failing, putting(purse, key="k"))
        assert isinstance(first, RuntimeError)
        assert (second.replayed, second.result) == (False, {"version": 1})

    def test_a_duplicate_of_an_earlier_call_takes_nobody_along(self, crowd):
        purse = new_purse()
        carry_out(putting(purse, coins=5, key="k"), crowd.store)
        again, next_one = crowd.together(putting(purse, coins=5, key="k"), taking(purse, coins=4))
        assert again.replayed
        assert next_one.result == {"version": 2}
        assert crowd.store.coins(purse) == [5, -4]
        assert_chain_holds(crowd.store, purse)


class TestFailingAlone:
    """What is wrong with one command is nothing to the others."""

    def test_a_decision_that_raises(self, crowd):
        purse = new_purse()
        broken = putting(purse, decide=raising(RuntimeError("odd")))
        outcomes = crowd.together(putting(purse), broken, putting(purse))
        assert isinstance(outcomes[1], RuntimeError)
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_document_that_the_log_cannot_keep(self, crowd):
        purse = new_purse()
        outcomes = crowd.together(putting(purse), putting(purse, metadata={"rate": 0.5}), putting(purse))
        assert isinstance(outcomes[1], InvalidEventData)
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_verdict_that_the_log_cannot_keep(self, crowd):
        purse = new_purse()

        def unkeepable(states, command, now, new_id):
            return Decision(result={"rate": 0.5})

        outcomes = crowd.together(
            putting(purse, key="a"), putting(purse, key="b", decide=unkeepable), putting(purse, key="c")
        )
        assert isinstance(outcomes[1], InvalidAppend)
        assert [outcome.result for outcome in (outcomes[0], outcomes[2])] == [{"version": 1}, {"version": 2}]
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_history_that_cannot_be_folded(self, crowd):
        purse, unreadable = new_purse(), new_purse()

        def senseless(states, command, now, new_id):
            draft = DraftEvent(event_id=new_id(), event_type="Odd", schema_version=1, data={})
            return Decision(events={unreadable: (draft,)})

        as_counts = Execution(
            streams=[stream(unreadable, COUNTS)], command=None, decide=senseless, context=CommandContext()
        )
        carry_out(as_counts, crowd.store)
        outcomes = crowd.together(putting(purse), putting(unreadable), putting(purse))
        assert isinstance(outcomes[1], KeyError)
        assert crowd.store.coins(purse) == [1, 1]

    def test_a_stream_that_cannot_be_read(self, crowd, monkeypatch):
        purse, unreadable = new_purse(), new_purse()
        load = crowd.store.load

        def load_or_fail(streams, **keys):
            if any(request.stream_id == unreadable for request in streams):
                raise ValueError("not a name")
            return load(streams, **keys)

        monkeypatch.setattr(crowd.store, "load", load_or_fail)
        outcomes = crowd.together(putting(purse), putting(unreadable), putting(purse))
        assert isinstance(outcomes[1], ValueError)
        assert crowd.store.coins(purse) == [1, 1]

    def test_the_expected_version_of_one_is_what_the_others_left(self, crowd):
        purse = new_purse()
        outcomes = crowd.together(
            putting(purse, expected_versions={purse: 0}),
            putting(purse, expected_versions={purse: 0}),
            putting(purse, expected_versions={purse: 1}),
        )
        assert isinstance(outcomes[1], VersionConflict)
        assert outcomes[1].expected_version == 0 < outcomes[1].actual_version
        assert len(crowd.store.coins(purse)) == sum(isinstance(outcome, Outcome) for outcome in outcomes)

    def test_a_retry_is_answered_before_its_expected_version_is_looked_at(self, crowd):
        purse = new_purse()
        carry_out(putting(purse, key="k", expected_versions={purse: 0}), crowd.store)
        for again in crowd.together(*[putting(purse, key="k", expected_versions={purse: 0})] * 2):
            assert again.replayed


class TestRivals:
    """Other processes write too."""

    def test_a_rival_is_folded_by_all_of_a_batch(self, crowd):
        purse = new_purse()
        carry_out(putting(purse, coins=5), crowd.store)
        outcomes = crowd.together(
            taking(purse, coins=2),
            taking(purse, coins=2),
            taking(purse, coins=2),
            meanwhile=lambda: elsewhere(taking(purse, coins=1), crowd.store),
        )
        assert [outcome.refused for outcome in outcomes] == [False, False, True]
        assert crowd.store.coins(purse) == [5, -1, -2, -2]
        assert_chain_holds(crowd.store, purse)

    def test_a_rival_in_the_place_of_the_first_does_not_let_the_second_through(self, crowd):
        purse, key = new_purse(), "k"
        carry_out(putting(purse, coins=5), crowd.store)
        # The rival's event takes the very version that the first of the batch would have left for the second.
        first, second = crowd.together(
            taking(purse, coins=4, key=key),
            taking(purse, coins=1),
            meanwhile=lambda: elsewhere(taking(purse, coins=5), crowd.store),
        )
        assert (first.refused, second.refused) == (True, True)
        assert crowd.store.coins(purse) == [5, -5]

    def test_a_conflict_is_nothing_to_those_on_other_streams(self, crowd):
        purse, other = new_purse(), new_purse()
        carry_out(putting(purse, coins=5), crowd.store)
        crowd.together(
            taking(purse, coins=1),
            putting(other),
            taking(purse, coins=1),
            meanwhile=lambda: elsewhere(putting(purse), crowd.store),
        )
        assert crowd.store.sizes[-2:] == [3, 2]
        assert crowd.store.coins(other) == [1]
        assert crowd.store.coins(purse) == [5, 1, -1, -1]

    def test_a_conflict_brings_what_is_needed_to_decide_again(self, crowd):
        purse = new_purse()
        carry_out(putting(purse, coins=5), crowd.store)
        elsewhere(putting(purse), crowd.store)
        loads = crowd.store.loads
        assert carry_out(taking(purse, coins=6), crowd.store).result == {"version": 3}
        assert crowd.store.loads == loads


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

    def test_who_waits_too_long_for_an_append_does_not_know_its_outcome(self, crowd, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr(commit_group, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        monkeypatch.setattr(commit_group, "STALLED_SECONDS", 0.02)
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
        purse, wait, stopped = new_purse(), Caller.wait, []

        def wait_or_be_stopped(caller: Caller, **timeout: float) -> None:
            if not stopped:
                stopped.append(caller)
                raise Stop
            wait(caller, **timeout)

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


class TestExecuteMany:
    """Several commands of one caller."""

    def test_each_is_answered_on_its_own_and_in_order(self, crowd):
        one, other = new_purse(), new_purse()
        answers = execute_many(
            executions=[
                putting(one, coins=5, key="k"),
                taking(one, coins=3),
                taking(one, coins=3),
                putting(other, decide=raising(RuntimeError("odd"))),
                putting(one, coins=5, key="k"),
                taking(one, other, coins=-1),
            ],
            store=crowd.store,
        )
        assert [answer.refused for answer in answers[:3]] == [False, False, True]
        assert isinstance(answers[3], RuntimeError)
        assert answers[4].replayed
        assert crowd.store.coins(one) == [5, -3, 1]
        # All but the one that raised and the one that repeats a key, and then those that came after the former.
        assert crowd.store.sizes[0] == 4

    def test_what_is_put_off_holds_back_what_comes_after_it(self, crowd):
        purse = new_purse()
        carry_out(putting(purse), crowd.store)
        # The second expects what the first does not leave, so it is looked up; the third must not come before it.
        answers = execute_many(
            executions=[
                putting(purse),
                putting(purse, coins=7, expected_versions={purse: 1}),
                putting(purse, expected_versions={purse: 2}),
            ],
            store=crowd.store,
        )
        assert isinstance(answers[1], VersionConflict)
        assert [answers[0].result, answers[2].result] == [{"version": 2}, {"version": 3}]

    def test_more_than_one_batch_and_more_than_may_wait(self, crowd, settings):
        settings.EXECUTE_BATCH_COMMANDS, settings.EXECUTE_QUEUE_COMMANDS = 10, 1
        purse = new_purse()
        answers = execute_many(executions=[putting(purse) for _ in range(35)], store=crowd.store)
        assert [answer.result["version"] for answer in answers] == list(range(1, 36))
        assert crowd.store.sizes == [10, 10, 10, 5]

    def test_none_are_answered_with_nothing(self, crowd):
        assert execute_many(executions=[], store=crowd.store) == []

    def test_those_that_are_turned_away_say_so(self, crowd, settings):
        settings.EXECUTE_QUEUE_COMMANDS = 1
        answers: list[Any] = []
        crowd.together(
            putting(new_purse()),
            meanwhile=lambda: answers.extend(
                execute_many(executions=[putting(new_purse()) for _ in range(2)], store=crowd.store)
            ),
        )
        assert [type(answer) for answer in answers] == [Overloaded, Overloaded]
