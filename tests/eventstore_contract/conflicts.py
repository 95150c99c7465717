"""Commits that meet another version than they expect: what they are told, and that nothing of them is written."""

from dataclasses import replace
from uuid import uuid4

import pytest

from eventstore.chain import chain_hashes
from eventstore.records import MAX_UNSEEN_EVENTS, Appended, Commit, Conflict, NewEvent, StreamAppend
from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, append_call, conflict, events_of, ids, kinds, load
from tests.factories import (
    NOON,
    CommitFactory,
    NewCommandFactory,
    NewEventFactory,
    SnapshotFactory,
    StreamAppendFactory,
)

EVENTS_PER_CALL = 5_000


def commit_on(stream: StreamAppend, *, expecting: int) -> Commit:
    """Return a commit of one event on the stream of `stream`."""
    return CommitFactory.build(
        streams=(StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=expecting),)
    )


class Conflicts:
    """Commits that do not go through."""

    def test_too_low_an_expected_version_is_told_what_it_has_not_seen(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=5)
        append(store, stream)

        answer = conflict(store, commit_on(stream, expecting=2))
        assert answer.actual_versions == {stream.stream_id: 5}
        assert answer.unseen == {stream.stream_id: tuple(events_of(store, stream)[2:])}
        assert len(events_of(store, stream)) == 5

    def test_too_high_an_expected_version_has_nothing_unseen(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)

        answer = conflict(store, commit_on(stream, expecting=3))
        assert answer == Conflict(actual_versions={stream.stream_id: 2}, unseen={})
        assert len(events_of(store, stream)) == 2

    def test_a_stream_that_is_not_there_stands_at_zero(self, store: EventStore):
        stream = StreamAppendFactory.build(expected_version=1)
        answer = conflict(store, CommitFactory.build(streams=(stream,)))
        assert answer == Conflict(actual_versions={stream.stream_id: 0}, unseen={})
        assert events_of(store, stream) == []

    def test_a_stream_created_again_is_told_its_version_alone(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=3)
        append(store, stream)
        answer = conflict(store, commit_on(stream, expecting=0))
        assert answer == Conflict(actual_versions={stream.stream_id: 3}, unseen={})

    @pytest.mark.parametrize(
        "length", [5_000, pytest.param(1_000_000, marks=[pytest.mark.heavy, pytest.mark.timeout(600)])]
    )
    def test_a_very_long_stream_created_again_gives_a_bounded_answer(self, store: EventStore, length: int):
        stream_id, last_hash = f"thing-{uuid4()}", b""
        for version in range(0, length, EVENTS_PER_CALL):
            stream = plain_events(stream_id, version, EVENTS_PER_CALL, last_hash)
            append(store, stream)
            last_hash = stream.hashes[-1]

        created_again = commit_on(stream, expecting=0)
        assert conflict(store, created_again) == Conflict(actual_versions={stream_id: length}, unseen={})
        answer = conflict(store, commit_on(stream, expecting=1))
        assert answer.actual_versions == {stream_id: length}
        assert [event.version for event in answer.unseen[stream_id]] == list(range(2, 2 + MAX_UNSEEN_EVENTS))

    def test_unseen_events_are_at_most_the_limit_and_the_first_ones(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=250)
        append(store, stream)
        answer = conflict(store, commit_on(stream, expecting=10))
        assert ids(answer.unseen[stream.stream_id]) == ids(stream.events)[10 : 10 + MAX_UNSEEN_EVENTS]
        assert answer.actual_versions == {stream.stream_id: 250}

    @pytest.mark.parametrize("expecting, unseen", [(49, 200), (50, 200), (51, 199)])
    def test_the_limit_is_exact(self, store: EventStore, expecting: int, unseen: int):
        stream = StreamAppendFactory.build(number_of_events=250)
        append(store, stream)
        answer = conflict(store, commit_on(stream, expecting=expecting))
        assert ids(answer.unseen[stream.stream_id]) == ids(stream.events)[expecting : expecting + unseen]

    def test_the_limit_counts_over_the_streams_of_a_commit_in_their_order(self, store: EventStore):
        streams = [StreamAppendFactory.build(number_of_events=number) for number in (151, 101, 11)]
        append(store, *streams)
        stale = [StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=1) for stream in streams]

        answer = conflict(store, CommitFactory.build(streams=stale))
        first, second, third = streams
        assert answer.actual_versions == {first.stream_id: 151, second.stream_id: 101, third.stream_id: 11}
        assert ids(answer.unseen[first.stream_id]) == ids(first.events)[1:]
        assert ids(answer.unseen[second.stream_id]) == ids(second.events)[1:51]
        assert third.stream_id not in answer.unseen

    def test_each_commit_of_a_call_has_a_limit_of_its_own(self, store: EventStore):
        streams = [StreamAppendFactory.build(number_of_events=151) for _ in range(2)]
        append(store, *streams)
        answers = append_call(store, *[commit_on(stream, expecting=1) for stream in streams])
        for stream, answer in zip(streams, answers, strict=True):
            assert ids(answer.unseen[stream.stream_id]) == ids(stream.events)[1:]

    def test_one_stale_stream_of_several_and_nothing_is_written(self, store: EventStore):
        stale, current = StreamAppendFactory.build(number_of_events=2), StreamAppendFactory.build()
        append(store, stale, current)
        new, next_of_current = StreamAppendFactory.build(), StreamAppendFactory.build(after=current)
        command = NewCommandFactory.build()
        commit = CommitFactory.build(
            streams=(next_of_current, new, *commit_on(stale, expecting=1).streams),
            command=command,
            snapshots=(SnapshotFactory.build(of=next_of_current),),
        )

        answer = conflict(store, commit)
        assert answer.actual_versions == {current.stream_id: 1, new.stream_id: 0, stale.stream_id: 2}
        assert {stream_id: ids(events) for stream_id, events in answer.unseen.items()} == {
            stale.stream_id: ids(stale.events)[1:]
        }
        loaded = load(store, current, new, stale, key=command.key)
        assert loaded.command is None
        assert loaded.streams[current.stream_id].snapshot is None
        assert [len(stream.tail) for stream in loaded.streams.values()] == [1, 0, 2]

    def test_a_stale_guard_conflicts_like_any_stream(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)
        stale_guard = replace(commit_on(stream, expecting=1).streams[0], events=(), hashes=())
        other = StreamAppendFactory.build()

        answer = conflict(store, CommitFactory.build(streams=(other, stale_guard)))
        assert answer.actual_versions == {other.stream_id: 0, stream.stream_id: 2}
        assert ids(answer.unseen[stream.stream_id]) == ids(stream.events)[1:]
        assert events_of(store, other) == []

    def test_a_stale_guard_alone_conflicts(self, store: EventStore):
        stream = StreamAppendFactory.build()
        append(store, stream)
        guard = StreamAppendFactory.build(stream_id=stream.stream_id, number_of_events=0)
        answer = conflict(store, CommitFactory.build(streams=(guard,)))
        assert answer == Conflict(actual_versions={stream.stream_id: 1}, unseen={})

    def test_a_broken_chain_takes_along_what_was_built_on_it_and_nothing_else(self, store: EventStore):
        taken = StreamAppendFactory.build()
        append(store, taken)
        first = StreamAppendFactory.build()
        broken, built_on_it = StreamAppendFactory.build(after=first), None
        built_on_it = StreamAppendFactory.build(after=broken)
        unrelated = StreamAppendFactory.build(number_of_events=2)

        results = append_call(
            store,
            CommitFactory.build(streams=(first,)),
            CommitFactory.build(streams=(broken, StreamAppendFactory.build(stream_id=taken.stream_id))),
            CommitFactory.build(streams=(built_on_it,)),
            CommitFactory.build(streams=(unrelated,)),
        )
        assert kinds(results) == [Appended, Conflict, Conflict, Appended]
        assert results[1].actual_versions == {first.stream_id: 1, taken.stream_id: 1}
        assert results[2] == Conflict(actual_versions={first.stream_id: 1}, unseen={})
        assert results[3].first_position == results[0].last_position + 1
        assert ids(events_of(store, first)) == ids(first.events)
        assert ids(events_of(store, unrelated)) == ids(unrelated.events)

    def test_of_two_commits_on_one_version_in_a_call_the_second_sees_the_first(self, store: EventStore):
        base = StreamAppendFactory.build()
        append(store, base)
        one, other = StreamAppendFactory.build(after=base), StreamAppendFactory.build(after=base)

        appended, conflicted = append_call(store, *[CommitFactory.build(streams=(stream,)) for stream in (one, other)])
        assert isinstance(appended, Appended)
        assert conflicted.actual_versions == {base.stream_id: 2}
        assert conflicted.unseen == {base.stream_id: tuple(events_of(store, base)[1:])}
        assert ids(conflicted.unseen[base.stream_id]) == ids(one.events)

    def test_a_conflict_comes_before_the_order_of_times(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)
        early = NewEventFactory.build(occurred_at=NOON.replace(year=2020))
        stale = StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=1, events=(early,))
        assert conflict(store, CommitFactory.build(streams=(stale,))).actual_versions == {stream.stream_id: 2}


def plain_events(stream_id: str, version: int, count: int, previous_hash: bytes) -> StreamAppend:
    """Return many events, made without the factory's comfort because there are a million of them."""
    events = tuple(
        NewEvent(event_id=uuid4(), event_type="ThingHappened", schema_version=1, data={}, metadata={}, occurred_at=NOON)
        for _ in range(count)
    )
    hashes = chain_hashes(stream_id=stream_id, version=version, previous_hash=previous_hash, events=events)
    return StreamAppend(stream_id=stream_id, expected_version=version, events=events, hashes=hashes)
