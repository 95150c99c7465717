"""Command keys: a command is carried out once, and its verdict is kept."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from eventstore.records import Appended, CommandKey, CommandRecord, Conflict, Duplicate
from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, append_call, conflict, duplicate, events_of, ids, kinds, load
from tests.factories import NOON, CommitFactory, NewCommandFactory, NewEventFactory, StreamAppendFactory


class Commands:
    """Verdicts, and commands that come again."""

    def test_the_verdict_is_kept_with_the_positions_of_its_events(self, store: EventStore):
        command = NewCommandFactory.build(result={"status": "accepted", "balance": 800}, refused=False)
        result = append(
            store, StreamAppendFactory.build(number_of_events=2), StreamAppendFactory.build(), command=command
        )
        assert load(store, key=command.key).command == CommandRecord(
            key=command.key,
            fingerprint=command.fingerprint,
            result={"status": "accepted", "balance": 800},
            refused=False,
            first_position=result.first_position,
            last_position=result.first_position + 2,
            recorded_at=result.recorded_at,
        )

    def test_a_refusal_is_kept_with_its_guard_and_without_positions(self, store: EventStore):
        stream = StreamAppendFactory.build()
        append(store, stream)
        refusal = NewCommandFactory.build(result={"code": "insufficient_funds", "fields": {}}, refused=True)
        guard = StreamAppendFactory.build(after=stream, number_of_events=0)
        appended = append(store, guard, command=refusal)
        assert (appended.first_position, appended.last_position) == (None, None)

        loaded = load(store, stream, key=refusal.key)
        assert loaded.command == CommandRecord(
            key=refusal.key,
            fingerprint=refusal.fingerprint,
            result={"code": "insufficient_funds", "fields": {}},
            refused=True,
            first_position=None,
            last_position=None,
            recorded_at=appended.recorded_at,
        )
        assert ids(loaded.streams[stream.stream_id].tail) == ids(stream.events)

    def test_a_refusal_decided_on_stale_state_is_not_kept(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)
        refusal = NewCommandFactory.build(refused=True)
        guard = StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=1, number_of_events=0)
        conflict(store, CommitFactory.build(streams=(guard,), command=refusal))
        assert load(store, key=refusal.key).command is None

    def test_an_unknown_key_has_no_verdict(self, store: EventStore):
        assert load(store, key=CommandKey(scope="test-client", key=str(uuid4()))).command is None

    def test_a_key_belongs_to_its_scope(self, store: EventStore):
        command = NewCommandFactory.build()
        elsewhere = replace(command, key=CommandKey(scope="other-client", key=command.key.key))
        append(store, StreamAppendFactory.build(), command=command)
        assert load(store, key=elsewhere.key).command is None
        append(store, StreamAppendFactory.build(), command=elsewhere)

    def test_a_repeated_command_gets_the_first_verdict_and_writes_nothing(self, store: EventStore):
        command = NewCommandFactory.build()
        append(store, StreamAppendFactory.build(), command=command)
        first = load(store, key=command.key).command
        other_stream = StreamAppendFactory.build()
        again = replace(command, fingerprint="another", result={"status": "another"}, refused=True)

        answer = duplicate(store, CommitFactory.build(streams=(other_stream,), command=again))
        assert answer == Duplicate(command=first)
        assert load(store, key=command.key).command == first
        assert events_of(store, other_stream) == []

    def test_a_repeated_refusal_gets_the_refusal(self, store: EventStore):
        refusal = NewCommandFactory.build(refused=True)
        append(store, StreamAppendFactory.build(number_of_events=0), command=refusal)
        answer = duplicate(store, CommitFactory.build(command=replace(refusal, refused=False)))
        assert answer.command.refused is True
        assert (answer.command.first_position, answer.command.last_position) == (None, None)

    def test_duplicate_comes_before_conflict(self, store: EventStore):
        stream, command = StreamAppendFactory.build(), NewCommandFactory.build()
        append(store, stream, command=command)
        answer = duplicate(store, CommitFactory.build(streams=(stream,), command=command))
        assert answer.command.key == command.key
        assert ids(events_of(store, stream)) == ids(stream.events)

    def test_duplicate_comes_before_the_order_of_times(self, store: EventStore):
        stream, command = StreamAppendFactory.build(), NewCommandFactory.build()
        append(store, stream, command=command)
        early = NewEventFactory.build(occurred_at=NOON.replace(year=2020))
        retry = StreamAppendFactory.build(after=stream, events=(early,))
        duplicate(store, CommitFactory.build(streams=(retry,), command=command))

    def test_a_key_repeated_in_one_call_is_a_duplicate_of_its_first(self, store: EventStore):
        command = NewCommandFactory.build()
        before, first, second = (StreamAppendFactory.build(number_of_events=number) for number in (3, 2, 1))
        results = append_call(
            store,
            CommitFactory.build(streams=(before,)),
            CommitFactory.build(streams=(first,), command=command),
            CommitFactory.build(streams=(second,), command=replace(command, fingerprint="another")),
        )
        assert kinds(results) == [Appended, Appended, Duplicate]
        verdict = results[2].command
        assert verdict.fingerprint == command.fingerprint
        assert (verdict.first_position, verdict.last_position) == (
            results[0].first_position + 3,
            results[0].first_position + 4,
        )
        assert verdict == load(store, key=command.key).command
        assert events_of(store, second) == []

    def test_a_key_whose_first_conflicts_is_judged_by_itself_when_it_comes_again(self, store: EventStore):
        command = NewCommandFactory.build()
        impossible, possible = StreamAppendFactory.build(expected_version=7), StreamAppendFactory.build()
        results = append_call(
            store,
            CommitFactory.build(streams=(impossible,), command=replace(command, fingerprint="first")),
            CommitFactory.build(streams=(possible,), command=replace(command, fingerprint="second")),
            CommitFactory.build(command=replace(command, fingerprint="third")),
        )
        assert kinds(results) == [Conflict, Appended, Duplicate]
        assert results[2].command.fingerprint == "second"
        assert load(store, key=command.key).command.first_position == results[1].first_position
        assert ids(events_of(store, possible)) == ids(possible.events)

    def test_what_was_built_on_a_duplicate_conflicts(self, store: EventStore):
        command = NewCommandFactory.build()
        append(store, StreamAppendFactory.build(), command=command)
        repeated = StreamAppendFactory.build()
        built_on_it = StreamAppendFactory.build(after=repeated)
        results = append_call(
            store,
            CommitFactory.build(streams=(repeated,), command=command),
            CommitFactory.build(streams=(built_on_it,)),
        )
        assert kinds(results) == [Duplicate, Conflict]
        assert events_of(store, repeated) == []

    def test_old_refusals_are_forgotten_and_nothing_else(self, store: EventStore):
        success, old, older, young = (NewCommandFactory.build(refused=refused) for refused in (False, True, True, True))
        append(store, StreamAppendFactory.build(), command=success)
        for refusal in (older, old):
            append(store, StreamAppendFactory.build(number_of_events=0), command=refusal)
        moment = append(store, StreamAppendFactory.build(number_of_events=0), command=young).recorded_at

        while store.forget_refusals(recorded_before=moment, limit=1000) == 1000:
            assert load(store, key=young.key).command is not None
        assert [load(store, key=kept.key).command is not None for kept in (success, old, older, young)] == [
            True,
            False,
            False,
            True,
        ]
        assert store.forget_refusals(recorded_before=moment, limit=1000) == 0

    def test_refusals_are_forgotten_a_few_at_a_time_the_oldest_first(self, store: EventStore):
        refusals = NewCommandFactory.build_batch(3, refused=True)
        recorded = [
            append(store, StreamAppendFactory.build(number_of_events=0), command=refusal).recorded_at
            for refusal in refusals
        ]
        while store.forget_refusals(recorded_before=recorded[0], limit=1000):
            assert load(store, key=refusals[0].key).command is not None
        after = recorded[2] + timedelta(microseconds=1)
        assert store.forget_refusals(recorded_before=after, limit=2) == 2
        assert [load(store, key=refusal.key).command is None for refusal in refusals] == [True, True, False]

    def test_the_key_of_a_forgotten_refusal_is_as_good_as_new(self, store: EventStore):
        refusal = NewCommandFactory.build(refused=True)
        recorded_at = append(store, StreamAppendFactory.build(number_of_events=0), command=refusal).recorded_at
        store.forget_refusals(recorded_before=recorded_at + timedelta(microseconds=1), limit=100_000)
        accepted = replace(refusal, refused=False)
        append(store, StreamAppendFactory.build(), command=accepted)
        assert load(store, key=refusal.key).command.refused is False
