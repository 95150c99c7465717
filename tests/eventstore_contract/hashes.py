"""Commits that say which event they build on: the version alone does not tell whose it is."""

from dataclasses import replace

import pytest

from eventstore.exceptions import InvalidAppend
from eventstore.records import Appended, Conflict, Duplicate, StreamAppend
from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, append_call, assert_chain_holds, conflict, events_of, ids, kinds
from tests.factories import CommitFactory, NewCommandFactory, StreamAppendFactory

OTHER_HASH = bytes(range(32))


def building_on(earlier: StreamAppend | None = None, **fields: object) -> StreamAppend:
    """Return an append after `earlier`, or to a new stream, that says what it builds on."""
    previous_hash = earlier.hashes[-1] if earlier else b""
    return StreamAppendFactory.build(after=earlier, previous_hash=previous_hash, **fields)


class Hashes:
    """The hash that a commit expects where it expects the version."""

    def test_the_hash_of_the_head_is_as_good_as_its_version(self, store: EventStore):
        first = building_on(number_of_events=3)
        second = building_on(first)
        append(store, first)
        append(store, second)
        append(store, building_on(second, number_of_events=0))
        assert_chain_holds(events_of(store, first))

    def test_another_hash_at_the_expected_version_is_a_conflict(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)
        for number_of_events in (1, 0):
            forked = StreamAppendFactory.build(
                after=stream, previous_hash=OTHER_HASH, number_of_events=number_of_events
            )
            answer = conflict(store, CommitFactory.build(streams=(forked,)))
            assert answer == Conflict(actual_versions={stream.stream_id: 2}, unseen={})
        assert len(events_of(store, stream)) == 2

    def test_who_built_on_another_event_is_not_told_what_followed_ours(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=4)
        append(store, stream)
        stale = StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=2)
        answers = [
            conflict(store, CommitFactory.build(streams=(replace(stale, previous_hash=known),)))
            for known in (OTHER_HASH, stream.hashes[1])
        ]
        assert [ids(answer.unseen.get(stream.stream_id, ())) for answer in answers] == [[], ids(stream.events)[2:]]
        assert {answer.actual_versions[stream.stream_id] for answer in answers} == {4}

    def test_a_rival_in_the_place_of_an_earlier_commit_of_the_call_is_noticed(self, store: EventStore):
        base = building_on()
        append(store, base)
        first = building_on(base)
        second = building_on(first)
        rival = building_on(base)
        append(store, rival)

        # The stream is at the version that the first commit would have left, but holds the rival's event there.
        results = append_call(store, *[CommitFactory.build(streams=(stream,)) for stream in (first, second)])
        assert kinds(results) == [Conflict, Conflict]
        assert ids(results[0].unseen[base.stream_id]) == ids(rival.events)
        assert results[1] == Conflict(actual_versions={base.stream_id: 2}, unseen={})
        assert ids(events_of(store, base)) == ids(base.events) + ids(rival.events)

    def test_a_guard_on_what_an_earlier_commit_of_the_call_leaves_falls_with_it(self, store: EventStore):
        base, command = building_on(), NewCommandFactory.build()
        append(store, base, command=command)
        first = building_on(base)
        guard = building_on(first, number_of_events=0)
        append(store, building_on(base))

        results = append_call(
            store,
            CommitFactory.build(streams=(first,), command=command),
            CommitFactory.build(streams=(guard,), command=NewCommandFactory.build(refused=True)),
        )
        assert kinds(results) == [Duplicate, Conflict]

    def test_commits_of_a_call_build_on_each_other_across_guards(self, store: EventStore):
        base = building_on()
        append(store, base)
        first = building_on(base, number_of_events=2)
        guard = building_on(first, number_of_events=0)
        second = building_on(first)
        unchecked = StreamAppendFactory.build(after=second)
        other = building_on()
        results = append_call(
            store,
            *[CommitFactory.build(streams=streams) for streams in ((first, other), (guard,), (second,), (unchecked,))],
        )
        assert kinds(results) == [Appended] * 4
        assert_chain_holds(events_of(store, base))
        assert results[3].first_position == results[0].first_position + 4

    @pytest.mark.parametrize("expected_version, previous_hash", [(0, OTHER_HASH), (1, b""), (1, OTHER_HASH[1:])])
    def test_what_is_no_hash_of_that_version_breaks_the_contract(
        self, store: EventStore, expected_version: int, previous_hash: bytes
    ):
        stream = StreamAppendFactory.build(expected_version=expected_version, previous_hash=previous_hash)
        with pytest.raises(InvalidAppend):
            store.append([CommitFactory.build(streams=(stream,))])
