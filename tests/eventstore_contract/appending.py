"""Appending and reading back: fields, versions, positions, several commits and several streams."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from eventstore.records import Appended, LoadedStream
from eventstore.store import MAX_POSITION, EventStore
from tests.eventstore_contract.reading import append, append_call, assert_chain_holds, events_of, ids, load
from tests.factories import NOON, CommitFactory, NewEventFactory, StreamAppendFactory


class Appending:
    """Commits that go through."""

    def test_what_was_appended_is_read_back(self, store: EventStore):
        stream = StreamAppendFactory.build(
            events=(
                NewEventFactory.build(
                    event_type="MoneyDeposited", schema_version=3, data={"amount": 1000}, metadata={"actor": "amy"}
                ),
            )
        )
        before = datetime.now(UTC)
        result = append(store, stream)

        (recorded,) = events_of(store, stream)
        (event,) = stream.events
        assert recorded.event_id == event.event_id
        assert (recorded.stream_id, recorded.version) == (stream.stream_id, 1)
        assert recorded.position == result.first_position == result.last_position
        assert (recorded.event_type, recorded.schema_version) == ("MoneyDeposited", 3)
        assert (recorded.data, recorded.metadata) == ({"amount": 1000}, {"actor": "amy"})
        assert recorded.occurred_at == NOON
        assert recorded.recorded_at == result.recorded_at
        assert abs(recorded.recorded_at - before) < timedelta(minutes=1)
        assert recorded.hash == stream.hashes[0]

    def test_times_are_utc_to_the_microsecond(self, store: EventStore):
        in_lima = datetime(2026, 3, 22, 7, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=-5)))
        stream = StreamAppendFactory.build(events=(NewEventFactory.build(occurred_at=in_lima),))
        append(store, stream)

        (event,) = events_of(store, stream)
        assert event.occurred_at.isoformat() == "2026-03-22T12:00:00.123456+00:00"
        assert event.recorded_at.utcoffset() == timedelta(0)
        assert_chain_holds([event])

    def test_versions_and_positions_are_dense(self, store: EventStore):
        first = StreamAppendFactory.build(number_of_events=3)
        second = StreamAppendFactory.build(after=first, number_of_events=2)
        results = [append(store, first), append(store, second)]

        assert [result.versions for result in results] == [{first.stream_id: 3}, {first.stream_id: 5}]
        events = events_of(store, first)
        assert [event.version for event in events] == [1, 2, 3, 4, 5]
        for result, written in zip(results, [events[:3], events[3:]], strict=True):
            assert result.first_position == written[0].position
            assert result.last_position == written[-1].position
            assert [event.position for event in written] == list(range(result.first_position, result.last_position + 1))
        assert results[1].first_position > results[0].last_position

    @pytest.mark.parametrize("numbers", [(2, 1, 3), (1, 1)])
    def test_events_of_one_commit_stand_in_the_order_of_its_streams(self, store: EventStore, numbers: tuple[int, ...]):
        streams = [StreamAppendFactory.build(number_of_events=number) for number in numbers]
        result = append(store, *streams)

        assert result.versions == {stream.stream_id: len(stream.events) for stream in streams}
        written = store.read_all(after_position=result.first_position - 1, limit=6)
        assert ids(written) == [event_id for stream in streams for event_id in ids(stream.events)]
        assert [event.version for event in written] == [at for number in numbers for at in range(1, number + 1)]
        assert result.last_position == result.first_position + sum(numbers) - 1

    def test_commits_of_one_call_build_on_each_other(self, store: EventStore):
        first = StreamAppendFactory.build(number_of_events=2)
        second = StreamAppendFactory.build(after=first)
        other = StreamAppendFactory.build()
        third = StreamAppendFactory.build(after=second, number_of_events=3)
        results = append_call(
            store, *[CommitFactory.build(streams=(stream,)) for stream in (first, second, other, third)]
        )

        start = results[0].first_position
        assert [(result.first_position - start, result.last_position - start) for result in results] == [
            (0, 1),
            (2, 2),
            (3, 3),
            (4, 6),
        ]
        assert [result.versions for result in results] == [
            {first.stream_id: 2},
            {first.stream_id: 3},
            {other.stream_id: 1},
            {first.stream_id: 6},
        ]
        assert len({result.recorded_at for result in results}) == 1
        assert_chain_holds(events_of(store, first))

    def test_no_commits_give_no_results(self, store: EventStore):
        assert store.append([]) == []

    def test_a_guard_alone_is_appended_and_writes_nothing(self, store: EventStore):
        stream = StreamAppendFactory.build()
        append(store, stream)
        guard = StreamAppendFactory.build(after=stream, number_of_events=0)
        empty = StreamAppendFactory.build(number_of_events=0)

        result = append(store, guard, empty)
        assert result.versions == {stream.stream_id: 1, empty.stream_id: 0}
        assert (result.first_position, result.last_position) == (None, None)
        assert len(events_of(store, stream)) == 1
        assert events_of(store, empty) == []

    def test_a_guard_beside_events_keeps_its_version(self, store: EventStore):
        guard = StreamAppendFactory.build(number_of_events=0)
        stream = StreamAppendFactory.build()
        assert append(store, guard, stream).versions == {guard.stream_id: 0, stream.stream_id: 1}

    @pytest.mark.parametrize("later", [timedelta(0), timedelta(microseconds=1), timedelta(days=365)])
    def test_an_event_may_occur_with_or_after_the_one_before(self, store: EventStore, later: timedelta):
        first = StreamAppendFactory.build()
        second = StreamAppendFactory.build(after=first, events=(NewEventFactory.build(occurred_at=NOON + later),))
        append(store, first)
        append(store, second)
        assert [event.occurred_at for event in events_of(store, first)] == [NOON, NOON + later]

    def test_a_stream_is_read_in_slices(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=5)
        append(store, stream)
        assert ids(store.read_stream(stream.stream_id, limit=2)) == ids(stream.events)[:2]
        assert ids(store.read_stream(stream.stream_id, after_version=2, limit=2)) == ids(stream.events)[2:4]
        assert ids(store.read_stream(stream.stream_id, after_version=4, limit=2)) == ids(stream.events)[4:]
        assert store.read_stream(stream.stream_id, after_version=5, limit=2) == []

    def test_the_log_is_read_in_slices(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=5)
        result = append(store, stream)
        assert ids(store.read_all(after_position=result.first_position + 1, limit=2)) == ids(stream.events)[2:4]
        assert store.head_position() >= result.last_position
        assert store.read_all(after_position=store.head_position(), limit=2) == []

    def test_some_streams_of_the_log_are_read_in_slices(self, store: EventStore):
        mine, others = (StreamAppendFactory.build(number_of_events=3) for _ in range(2))
        late = StreamAppendFactory.build(after=mine, number_of_events=3)
        before = append(store, mine, others).first_position - 1
        append(store, late)
        slices = {
            (0, MAX_POSITION, 100): [*mine.events, *late.events],
            (0, MAX_POSITION, 4): [*mine.events, *late.events[:1]],
            (2, 8, 100): [*mine.events[2:], *late.events[:2]],
            (2, 8, 2): [*mine.events[2:], *late.events[:1]],
            (3, 6, 100): [],
            (8, 8, 100): [],
        }
        for (after, up_to, limit), expected in slices.items():
            bounds = {"after_position": before + after, "up_to_position": min(before + up_to, MAX_POSITION)}
            assert ids(store.read_all(**bounds, limit=limit, stream_prefix=mine.stream_id)) == ids(expected)

    def test_both_ways_of_reading_give_the_same_events(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=3)
        result = append(store, stream)
        assert store.read_all(after_position=result.first_position - 1, limit=3) == events_of(store, stream)

    def test_streams_are_loaded_together_also_those_without_events(self, store: EventStore):
        one, other, empty = (
            StreamAppendFactory.build(number_of_events=3),
            StreamAppendFactory.build(),
            "thing-unheard-of",
        )
        append(store, one, other)

        loaded = load(store, one, empty, other)
        assert loaded.command is None
        assert loaded.streams == {
            one.stream_id: LoadedStream(stream_id=one.stream_id, snapshot=None, tail=tuple(events_of(store, one))),
            empty: LoadedStream(stream_id=empty, snapshot=None, tail=()),
            other.stream_id: LoadedStream(
                stream_id=other.stream_id, snapshot=None, tail=tuple(events_of(store, other))
            ),
        }

    def test_the_hash_chain_runs_through_the_stream_as_read(self, store: EventStore):
        first = StreamAppendFactory.build(number_of_events=3)
        second = StreamAppendFactory.build(after=first, number_of_events=2)
        append(store, first, StreamAppendFactory.build())
        append(store, second)
        assert_chain_holds(events_of(store, first))

    def test_a_changed_event_breaks_the_chain(self, store: EventStore):
        stream = StreamAppendFactory.build(number_of_events=3)
        append(store, stream)
        first, second, third = events_of(store, stream)
        for forged in (
            [first, second._replace(data={"number": -1}), third],
            [first, third._replace(version=2)],
            [second, first, third],
        ):
            with pytest.raises(AssertionError):
                assert_chain_holds(forged)

    @pytest.mark.parametrize("events", [1, 2])
    def test_one_call_carries_many_commits(self, store: EventStore, events: int):
        streams = [StreamAppendFactory.build(number_of_events=events) for _ in range(100)]
        results = append_call(store, *[CommitFactory.build(streams=(stream,)) for stream in streams])
        assert all(isinstance(result, Appended) for result in results)
        first = results[0].first_position
        assert [result.first_position for result in results] == [first + events * place for place in range(100)]
        assert all(result.last_position == result.first_position + events - 1 for result in results)
        written = store.read_all(after_position=first - 1, limit=100 * events)
        assert ids(written) == [event_id for stream in streams for event_id in ids(stream.events)]
