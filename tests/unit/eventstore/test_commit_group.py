"""Commands that come at once share a call, and each is answered as if it had come alone."""

from threading import Thread

import pytest
from prometheus_client import REGISTRY

from eventstore import waiting
from eventstore.all_or_nothing import all_or_nothing
from eventstore.chain import event_hash
from eventstore.exceptions import (
    IdempotencyKeyReused,
    InvalidAppend,
    InvalidEventData,
    VersionConflict,
)
from eventstore.execution import Execution, StreamKind, load_state
from eventstore.records import CommandContext, Decision, DraftEvent, Outcome
from tests.unit.eventstore.purses import (
    Crowd,
    HeldStore,
    carry_out,
    elsewhere,
    new_purse,
    putting,
    raising,
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

    def test_a_batch_is_bounded_in_commands_however_they_were_sent(self, crowd, settings):
        settings.EXECUTE_BATCH_COMMANDS = 4

        def whole(parts: int) -> Execution:
            return all_or_nothing(parts=[putting(new_purse()) for _ in range(parts)], context=CommandContext())

        outcomes = crowd.together(whole(3), whole(3), whole(3), putting(new_purse()), whole(9), putting(new_purse()))
        assert all(isinstance(outcome, Outcome) for outcome in outcomes)
        assert crowd.store.sizes == [1, 1, 1, 2, 1, 1]

    def test_a_leader_lets_others_come_where_there_are_others(self, crowd, settings, monkeypatch):
        looks: list[float] = []
        monkeypatch.setattr(waiting, "sleep", looks.append)
        for _ in range(2):
            carry_out(putting(new_purse()), crowd.store)
        assert looks == []
        crowd.together(putting(new_purse()), putting(new_purse()))
        assert looks == [waiting.LOOK_SECONDS]
        # Those that it has just shared a round with may come again.
        carry_out(putting(new_purse()), crowd.store)
        assert len(looks) == 2
        carry_out(putting(new_purse()), crowd.store)
        assert len(looks) == 2
        settings.EXECUTE_BATCH_COMMANDS = 2
        crowd.together(*[putting(new_purse()) for _ in range(4)])
        assert len(looks) == 2

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

    def test_a_stream_that_is_read_for_nobody_is_nobodys_fault(self, crowd, monkeypatch):
        purse, unreadable = new_purse(), new_purse()
        load = crowd.store.load

        def load_or_fail(streams, **keys):
            if any(request.stream_id == unreadable for request in streams):
                raise ValueError("not a name")
            return load(streams, **keys)

        monkeypatch.setattr(crowd.store, "load", load_or_fail)
        # The second is put off, as one read does not give the purse as two kinds of state.
        as_counts = Execution(
            streams=[stream(unreadable, COUNTS), stream(purse, COUNTS)],
            command=None,
            decide=raising(AssertionError("decided on what cannot be read")),
            context=CommandContext(),
        )
        first, second = crowd.together(putting(purse), as_counts)
        assert first.result == {"version": 1}
        assert isinstance(second, ValueError)

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
