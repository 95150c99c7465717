"""Writers that come at once, each in a thread of its own."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

from django.db import connections

from eventstore.records import Appended, Duplicate, StreamAppend
from eventstore.store import EventStore
from tests.eventstore_contract.reading import assert_chain_holds, events_of, ids, load
from tests.factories import CommitFactory, NewCommandFactory, StreamAppendFactory

WRITERS = 8
APPENDS_OF_EACH_WRITER = 15
ATTEMPTS = 500


def at_once(write: Callable[[int], Any]) -> list[Any]:
    """Return what `write` returns for each writer, all of them let go at the same moment."""
    start = Barrier(WRITERS)

    def run(writer: int) -> Any:
        try:
            start.wait(timeout=30)
            return write(writer)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(run, range(WRITERS)))


def append_behind(store: EventStore, stream: StreamAppend) -> tuple[Appended, StreamAppend]:
    """Append the events of `stream` at the end of it, however often others come first."""
    for _ in range(ATTEMPTS):
        (result,) = store.append([CommitFactory.build(streams=(stream,))])
        if isinstance(result, Appended):
            return result, stream
        head = events_of(store, stream)[-1]
        at_head = StreamAppend(stream_id=stream.stream_id, expected_version=head.version, hashes=(head.hash,))
        stream = StreamAppendFactory.build(after=at_head, events=stream.events)
    raise AssertionError(f"not appended in {ATTEMPTS} attempts")


class Concurrency:
    """Nothing lost, nothing twice."""

    def test_a_command_sent_at_once_is_carried_out_once(self, store: EventStore):
        command = NewCommandFactory.build()
        streams = [StreamAppendFactory.build() for _ in range(WRITERS)]

        def send(writer: int) -> Any:
            mine = replace(command, fingerprint=f"fingerprint-{writer}")
            return store.append([CommitFactory.build(streams=(streams[writer],), command=mine)])[0]

        results = at_once(send)
        assert Counter(map(type, results)) == {Appended: 1, Duplicate: WRITERS - 1}
        winner = next(writer for writer, result in enumerate(results) if isinstance(result, Appended))
        verdict = load(store, key=command.key).command
        assert verdict.fingerprint == f"fingerprint-{winner}"
        assert verdict.first_position == results[winner].first_position
        assert all(result == Duplicate(command=verdict) for result in results if isinstance(result, Duplicate))
        assert [len(events_of(store, stream)) for stream in streams] == [
            int(writer == winner) for writer in range(WRITERS)
        ]

    def test_writers_of_one_stream_lose_nothing(self, store: EventStore):
        stream_id = StreamAppendFactory.build().stream_id

        def write(_: int) -> list[Any]:
            written = []
            for _ in range(APPENDS_OF_EACH_WRITER):
                mine = StreamAppendFactory.build(stream_id=stream_id, number_of_events=2)
                append_behind(store, mine)
                written += ids(mine.events)
            return written

        written = at_once(write)
        events = events_of(store, stream_id)
        assert Counter(ids(events)) == Counter(event_id for of_writer in written for event_id in of_writer)
        assert_chain_holds(events)
        assert [event.position for event in events] == sorted({event.position for event in events})
        for of_writer in written:
            assert [event_id for event_id in ids(events) if event_id in set(of_writer)] == of_writer

    def test_writers_of_streams_of_their_own_share_one_dense_log(self, store: EventStore):
        before = store.head_position()

        def write(_: int) -> list[StreamAppend]:
            streams = [StreamAppendFactory.build(number_of_events=2)]
            for _ in range(APPENDS_OF_EACH_WRITER - 1):
                streams.append(StreamAppendFactory.build(after=streams[-1]))
            results = [store.append([CommitFactory.build(streams=(stream,))])[0] for stream in streams]
            assert all(isinstance(result, Appended) for result in results)
            return streams

        written = at_once(write)
        log = store.read_all(after_position=before, limit=100_000)
        assert [event.position for event in log] == list(range(before + 1, before + 1 + len(log)))
        for streams in written:
            of_stream = [event for event in log if event.stream_id == streams[0].stream_id]
            assert ids(of_stream) == [event_id for stream in streams for event_id in ids(stream.events)]
            assert_chain_holds(of_stream)
