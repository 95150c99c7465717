"""Calls that break the contract: they raise, and write nothing of the whole call."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from eventstore.exceptions import InvalidAppend, InvalidEventData
from eventstore.records import CommandKey, Commit
from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, events_of, ids, load
from tests.factories import (
    NOON,
    CommitFactory,
    NewCommandFactory,
    NewEventFactory,
    SnapshotFactory,
    StreamAppendFactory,
)

SECOND = timedelta(seconds=1)
ANY_HASH = bytes(32)


def stream_twice() -> Commit:
    stream = StreamAppendFactory.build()
    return CommitFactory.build(streams=(stream, StreamAppendFactory.build(after=stream)))


def stream_twice_as_guard() -> Commit:
    stream = StreamAppendFactory.build()
    return CommitFactory.build(streams=(stream, StreamAppendFactory.build(after=stream, number_of_events=0)))


def with_hashes(*hashes: bytes) -> Callable[[], Commit]:
    return lambda: CommitFactory.build(streams=(StreamAppendFactory.build(number_of_events=2, hashes=hashes),))


def guard_with_hash() -> Commit:
    return CommitFactory.build(streams=(StreamAppendFactory.build(number_of_events=0, hashes=(ANY_HASH,)),))


def negative_expected_version() -> Commit:
    return CommitFactory.build(streams=(StreamAppendFactory.build(expected_version=-1),))


def negative_guard() -> Commit:
    return CommitFactory.build(streams=(StreamAppendFactory.build(expected_version=-1, number_of_events=0),))


def time_going_back() -> Commit:
    events = tuple(NewEventFactory.build(occurred_at=NOON - offset * SECOND) for offset in range(2))
    return CommitFactory.build(streams=(StreamAppendFactory.build(events=events),))


def naive_time() -> Commit:
    naive = NewEventFactory.build(occurred_at=NOON.replace(tzinfo=None))
    return CommitFactory.build(streams=(StreamAppendFactory.build(events=(naive,), hashes=(ANY_HASH,)),))


def no_stream() -> Commit:
    return CommitFactory.build(streams=(), command=NewCommandFactory.build())


def two_snapshots_of_one_stream() -> Commit:
    stream = StreamAppendFactory.build()
    snapshots = tuple(SnapshotFactory.build(of=stream, schema_version=schema_version) for schema_version in (1, 2))
    return CommitFactory.build(streams=(stream,), snapshots=snapshots)


def snapshot_of_nothing() -> Commit:
    stream = StreamAppendFactory.build()
    guard = replace(stream, events=(), hashes=())
    return CommitFactory.build(streams=(guard,), snapshots=(SnapshotFactory.build(of=stream, version=0),))


def snapshot_of_a_stranger() -> Commit:
    return CommitFactory.build(snapshots=(SnapshotFactory.build(of=StreamAppendFactory.build()),))


def snapshot_at(version: int) -> Callable[[], Commit]:
    def commit() -> Commit:
        stream = StreamAppendFactory.build(number_of_events=2)
        return CommitFactory.build(streams=(stream,), snapshots=(SnapshotFactory.build(of=stream, version=version),))

    return commit


def with_event(**fields: Any) -> Callable[[], Commit]:
    return lambda: CommitFactory.build(
        streams=(StreamAppendFactory.build(events=(NewEventFactory.build(**fields),), hashes=(ANY_HASH,)),)
    )


def with_command(**fields: Any) -> Callable[[], Commit]:
    return lambda: CommitFactory.build(command=NewCommandFactory.build(**fields))


def stream_called(stream_id: str) -> Callable[[], Commit]:
    return lambda: CommitFactory.build(streams=(StreamAppendFactory.build(stream_id=stream_id, hashes=(ANY_HASH,)),))


def snapshot_schema_version(schema_version: int) -> Callable[[], Commit]:
    def commit() -> Commit:
        stream = StreamAppendFactory.build()
        snapshot = SnapshotFactory.build(of=stream, schema_version=schema_version)
        return CommitFactory.build(streams=(stream,), snapshots=(snapshot,))

    return commit


VIOLATIONS: dict[str, Callable[[], Commit]] = {
    "no stream": no_stream,
    "a stream twice": stream_twice,
    "a stream twice, once as guard": stream_twice_as_guard,
    "too few hashes": with_hashes(ANY_HASH),
    "too many hashes": with_hashes(ANY_HASH, ANY_HASH, ANY_HASH),
    "no hashes": with_hashes(),
    "a short hash": with_hashes(ANY_HASH, bytes(31)),
    "a long hash": with_hashes(bytes(33), ANY_HASH),
    "a guard with a hash": guard_with_hash,
    "a negative expected version": negative_expected_version,
    "a negative guard": negative_guard,
    "time going back": time_going_back,
    "naive time": naive_time,
    "two snapshots of one stream": two_snapshots_of_one_stream,
    "snapshot of nothing": snapshot_of_nothing,
    "snapshot of a stranger": snapshot_of_a_stranger,
    "snapshot too old": snapshot_at(1),
    "snapshot too new": snapshot_at(3),
    "empty stream id": stream_called(""),
    "empty event type": with_event(event_type=""),
    "empty scope": with_command(key=CommandKey(scope="", key="key")),
    "empty key": with_command(key=CommandKey(scope="test-client", key="")),
    "schema version 0": with_event(schema_version=0),
    "schema version beyond integer": with_event(schema_version=2**31),
    "snapshot's schema version 0": snapshot_schema_version(0),
    "snapshot's schema version beyond integer": snapshot_schema_version(2**31),
}

REFUSED_NAMES: dict[str, Callable[[str], Callable[[], Commit]]] = {
    "stream_id": stream_called,
    "event_type": lambda name: with_event(event_type=name),
    "scope": lambda name: with_command(key=CommandKey(scope=name, key="key")),
    "key": lambda name: with_command(key=CommandKey(scope="test-client", key=name)),
    "fingerprint": lambda name: with_command(fingerprint=name),
}

REFUSED_DOCUMENTS: dict[str, Any] = {
    "float": {"amount": 1.5},
    "whole float": {"amount": 1.0},
    "NaN": {"amount": float("nan")},
    "infinity": {"amount": float("inf")},
    "NUL": {"reason": "a\x00b"},
    "NUL in key": {"a\x00b": 1},
    "lone surrogate": {"reason": "\ud800"},
    "lone surrogate in key": {"\udfff": 1},
    "too large": {"amount": 2**53},
    "too small": {"amount": -(2**53)},
    "key that is not text": {1: "one"},
    "bytes": {"raw": b"raw"},
    "time": {"at": NOON},
    "deep": {"a": [[[[[[[[[[1]]]]]]]]]]},
    "not an object": [1, 2],
}


def commits_holding(document: Any) -> dict[str, Commit]:
    """Return a commit for each place where a document can be."""
    stream = StreamAppendFactory.build()
    (event,) = stream.events
    return {
        "data": CommitFactory.build(streams=(replace(stream, events=(replace(event, data=document),)),)),
        "metadata": CommitFactory.build(streams=(replace(stream, events=(replace(event, metadata=document),)),)),
        "state": CommitFactory.build(streams=(stream,), snapshots=(SnapshotFactory.build(of=stream, state=document),)),
        "result": CommitFactory.build(streams=(stream,), command=NewCommandFactory.build(result=document)),
    }


def assert_nothing_is_written(store: EventStore, bad: Commit, error: type[InvalidAppend]) -> Any:
    """Append `bad` between two good commits, and see that none of the three leaves a trace."""
    good_stream, command = StreamAppendFactory.build(), NewCommandFactory.build()
    good = CommitFactory.build(
        streams=(good_stream,),
        command=command,
        snapshots=(SnapshotFactory.build(of=good_stream),),
    )
    late = CommitFactory.build()
    with pytest.raises(error) as raised:
        store.append([good, bad, late])

    stream_ids = [stream.stream_id for commit in (good, bad, late) for stream in commit.streams]
    loaded = load(store, *stream_ids, key=command.key)
    assert loaded.command is None
    assert all((stream.snapshot, stream.tail) == (None, ()) for stream in loaded.streams.values())
    assert all(events_of(store, stream_id) == [] for stream_id in stream_ids)
    return raised.value


class Violations:
    """Faults in the program that calls."""

    @pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
    def test_a_violation_writes_nothing(self, store: EventStore, violation: Callable[[], Commit]):
        error = assert_nothing_is_written(store, violation(), InvalidAppend)
        assert not isinstance(error, InvalidEventData)

    @pytest.mark.parametrize("document", REFUSED_DOCUMENTS.values(), ids=REFUSED_DOCUMENTS)
    @pytest.mark.parametrize("place", ["data", "metadata", "state", "result"])
    def test_a_document_that_jsonb_would_change_writes_nothing(self, store: EventStore, document: Any, place: str):
        error = assert_nothing_is_written(store, commits_holding(document)[place], InvalidEventData)
        assert error.path.startswith(place)

    @pytest.mark.parametrize("text", ["a\x00b", "\ud800"], ids=["NUL", "lone surrogate"])
    @pytest.mark.parametrize("place", REFUSED_NAMES)
    def test_a_name_that_cannot_be_stored_is_refused(self, store: EventStore, place: str, text: str):
        good = StreamAppendFactory.build()
        with pytest.raises(InvalidEventData) as raised:
            store.append([CommitFactory.build(streams=(good,)), REFUSED_NAMES[place](text)()])
        assert raised.value.path == place
        assert events_of(store, good) == []

    @pytest.mark.parametrize(
        "beside", [(), (1,), (2,), (0,)], ids=["alone", "beside an event", "beside two events", "beside a guard"]
    )
    def test_an_event_earlier_than_the_head_writes_nothing(self, store: EventStore, beside: tuple[int, ...]):
        stream = StreamAppendFactory.build()
        append(store, stream)
        early = StreamAppendFactory.build(after=stream, events=(NewEventFactory.build(occurred_at=NOON - SECOND),))
        others = [StreamAppendFactory.build(number_of_events=events) for events in beside]
        with pytest.raises(InvalidAppend):
            store.append([CommitFactory.build(streams=(one,)) for one in (*others, early)])
        assert ids(events_of(store, stream)) == ids(stream.events)
        assert all(events_of(store, other) == [] for other in others)

    def test_a_violation_found_late_takes_the_whole_call_back(self, store: EventStore):
        base = StreamAppendFactory.build()
        old_snapshot = SnapshotFactory.build(of=base)
        append(store, base, snapshots=(old_snapshot,))
        events = (NewEventFactory.build(), NewEventFactory.build(occurred_at=NOON + SECOND))
        good = StreamAppendFactory.build(after=base, events=events)
        too_early = StreamAppendFactory.build(after=good)
        command = NewCommandFactory.build()

        with pytest.raises(InvalidAppend):
            store.append(
                [
                    CommitFactory.build(streams=(StreamAppendFactory.build(expected_version=9),)),
                    CommitFactory.build(streams=(good,), command=command, snapshots=(SnapshotFactory.build(of=good),)),
                    CommitFactory.build(streams=(StreamAppendFactory.build(), too_early)),
                ]
            )
        loaded = load(store, base, key=command.key)
        assert loaded.command is None
        assert (loaded.streams[base.stream_id].snapshot, loaded.streams[base.stream_id].tail) == (old_snapshot, ())
        append(store, good, command=command)
        assert ids(events_of(store, base)) == ids(base.events) + ids(good.events)

    def test_a_store_goes_on_after_a_violation(self, store: EventStore):
        with pytest.raises(InvalidAppend):
            store.append([CommitFactory.build(), time_going_back()])
        before, after = append(store, StreamAppendFactory.build()), append(store, StreamAppendFactory.build())
        log = store.read_all(after_position=before.first_position - 1, limit=1_000)
        assert [event.position for event in log] == list(range(before.first_position, log[-1].position + 1))
        assert after.first_position in {event.position for event in log}
