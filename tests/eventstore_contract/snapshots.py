"""Snapshots: kept with their commit, read back if their shape is asked for, never moving backwards."""

from dataclasses import replace
from datetime import timedelta

from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, append_call, conflict, duplicate, events_of, ids, load_one
from tests.factories import (
    NOON,
    CommitFactory,
    NewCommandFactory,
    NewEventFactory,
    SnapshotFactory,
    StreamAppendFactory,
)


class Snapshots:
    """What a store keeps of folded states."""

    def test_a_stream_is_loaded_from_its_snapshot_and_what_came_after(self, store: EventStore):
        later = NewEventFactory.build(occurred_at=NOON + timedelta(seconds=1))
        first = StreamAppendFactory.build(events=(NewEventFactory.build(), later))
        second = StreamAppendFactory.build(after=first, events=(NewEventFactory.build(occurred_at=later.occurred_at),))
        snapshot = SnapshotFactory.build(of=first, state={"balance": 800})
        append(store, first, snapshots=(snapshot,))
        append(store, second)

        loaded = load_one(store, first)
        assert loaded.snapshot == snapshot
        assert (snapshot.version, snapshot.hash, snapshot.occurred_at) == (2, first.hashes[1], later.occurred_at)
        assert loaded.tail == tuple(events_of(store, first)[2:])
        assert ids(loaded.tail) == ids(second.events)

    def test_a_snapshot_of_the_head_leaves_no_tail(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=3)
        append(store, stream, snapshots=(SnapshotFactory.build(of=stream),))
        assert load_one(store, stream).tail == ()

    def test_the_newest_snapshot_wins(self, store: EventStore):
        first = StreamAppendFactory.build()
        second = StreamAppendFactory.build(after=first)
        newest = SnapshotFactory.build(of=second)
        append(store, first, snapshots=(SnapshotFactory.build(of=first),))
        append(store, second, snapshots=(newest,))
        loaded = load_one(store, first)
        assert (loaded.snapshot, loaded.tail) == (newest, ())

    def test_the_newest_of_one_call_wins(self, store: EventStore):
        first = StreamAppendFactory.build()
        second = StreamAppendFactory.build(after=first)
        third = StreamAppendFactory.build(after=second)
        newest = SnapshotFactory.build(of=second)
        append_call(
            store,
            CommitFactory.build(streams=(first,), snapshots=(SnapshotFactory.build(of=first),)),
            CommitFactory.build(streams=(second,), snapshots=(newest,)),
            CommitFactory.build(streams=(third,)),
        )
        loaded = load_one(store, first)
        assert loaded.snapshot == newest
        assert ids(loaded.tail) == ids(third.events)

    def test_a_snapshot_of_another_shape_is_ignored_and_kept_beside(self, store: EventStore):
        first = StreamAppendFactory.build(number_of_events=2)
        second = StreamAppendFactory.build(after=first)
        old_shape = SnapshotFactory.build(of=first, schema_version=1)
        new_shape = SnapshotFactory.build(of=second, schema_version=2)
        append(store, first, snapshots=(old_shape,))
        append(store, second, snapshots=(new_shape,))

        for_old_release = load_one(store, first, snapshot_schema_version=1)
        assert (for_old_release.snapshot, ids(for_old_release.tail)) == (old_shape, ids(second.events))
        for_new_release = load_one(store, first, snapshot_schema_version=2)
        assert (for_new_release.snapshot, for_new_release.tail) == (new_shape, ())
        for_next_release = load_one(store, first, snapshot_schema_version=3)
        assert for_next_release.snapshot is None
        assert ids(for_next_release.tail) == ids(first.events) + ids(second.events)

    def test_each_stream_of_a_commit_may_have_a_snapshot(self, store: EventStore):
        streams = [StreamAppendFactory.build(number_of_events=number) for number in (1, 2, 3)]
        first, _, third = (SnapshotFactory.build(of=stream) for stream in streams)
        append(store, *streams, snapshots=(third, first))
        assert [load_one(store, stream).snapshot for stream in streams] == [first, None, third]

    def test_a_snapshot_gives_way_to_newer_ones_only(self, store: EventStore):
        stream = StreamAppendFactory.build()
        first, other = SnapshotFactory.build(of=stream), SnapshotFactory.build(of=stream)
        append(store, stream, snapshots=(first,))
        append(store, StreamAppendFactory.build(after=stream, number_of_events=0), snapshots=(other,))
        assert load_one(store, stream).snapshot == first

    def test_hash_and_time_of_a_snapshot_are_those_of_its_event(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        true = SnapshotFactory.build(of=stream)
        append(store, stream, snapshots=(replace(true, hash=bytes(32), occurred_at=NOON.replace(year=2020)),))
        assert load_one(store, stream).snapshot == true

    def test_a_guarded_stream_may_have_a_snapshot(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=2)
        append(store, stream)
        snapshot = SnapshotFactory.build(of=stream)
        append(store, StreamAppendFactory.build(after=stream, number_of_events=0), snapshots=(snapshot,))
        assert load_one(store, stream).snapshot == snapshot

    def test_a_snapshot_is_written_with_its_commit_only(self, store: EventStore):
        stream, command = StreamAppendFactory.build(), NewCommandFactory.build()
        append(store, stream, command=command)
        after = StreamAppendFactory.build(after=stream)
        snapshots = (SnapshotFactory.build(of=after),)
        duplicate(store, CommitFactory.build(streams=(after,), command=command, snapshots=snapshots))
        assert load_one(store, stream).snapshot is None

        too_high = StreamAppendFactory.build(after=after)
        snapshots = (SnapshotFactory.build(of=too_high),)
        conflict(store, CommitFactory.build(streams=(too_high,), snapshots=snapshots))
        assert load_one(store, stream).snapshot is None
        assert ids(load_one(store, stream).tail) == ids(stream.events)
