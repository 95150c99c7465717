"""Makes the records that tests need, valid unless told otherwise, each with an identity of its own."""

from datetime import UTC, datetime
from uuid import uuid4

import factory

from eventstore.chain import chain_hashes
from eventstore.records import CommandKey, Commit, NewCommand, NewEvent, Snapshot, StreamAppend

NOON = datetime(2026, 3, 22, 12, tzinfo=UTC)
"""When test events occur: events of one stream may share their moment."""


class NewEventFactory(factory.Factory[NewEvent]):
    """A fact nobody reads anything into."""

    class Meta:
        model = NewEvent

    event_id = factory.LazyFunction(uuid4)
    event_type = "ThingHappened"
    schema_version = 1
    data = factory.Sequence(lambda number: {"number": number})
    metadata = factory.LazyFunction(lambda: {"actor": "tester"})
    occurred_at = NOON


class StreamAppendFactory(factory.Factory[StreamAppend]):
    """Events for a stream, correctly chained: a new stream, or with `after` the one that an earlier append left."""

    class Meta:
        model = StreamAppend

    class Params:
        after: StreamAppend | None = None
        number_of_events = 1

    stream_id = factory.LazyAttribute(lambda made: made.after.stream_id if made.after else f"thing-{uuid4()}")
    expected_version = factory.LazyAttribute(
        lambda made: made.after.expected_version + len(made.after.events) if made.after else 0
    )
    events = factory.LazyAttribute(lambda made: tuple(NewEventFactory.build_batch(made.number_of_events)))
    hashes = factory.LazyAttribute(
        lambda made: chain_hashes(
            stream_id=made.stream_id,
            version=made.expected_version,
            previous_hash=made.after.hashes[-1] if made.after else b"",
            events=made.events,
        )
    )


class NewCommandFactory(factory.Factory[NewCommand]):
    """The verdict on a command that went through."""

    class Meta:
        model = NewCommand

    key = factory.LazyFunction(lambda: CommandKey(scope="test-client", key=str(uuid4())))
    fingerprint = factory.Sequence(lambda number: f"fingerprint-{number}")
    result = factory.Sequence(lambda number: {"status": "accepted", "number": number})
    refused = False


class SnapshotFactory(factory.Factory[Snapshot]):
    """The state of a stream after the append `of`."""

    class Meta:
        model = Snapshot

    class Params:
        of: StreamAppend | None = None

    stream_id = factory.LazyAttribute(lambda made: made.of.stream_id)
    version = factory.LazyAttribute(lambda made: made.of.expected_version + len(made.of.events))
    schema_version = 1
    state = factory.Sequence(lambda number: {"balance": number})
    hash = factory.LazyAttribute(lambda made: made.of.hashes[-1])
    occurred_at = factory.LazyAttribute(lambda made: made.of.events[-1].occurred_at)


class CommitFactory(factory.Factory[Commit]):
    """One event on a stream of its own."""

    class Meta:
        model = Commit

    streams = factory.LazyFunction(lambda: (StreamAppendFactory.build(),))
    command = None
    snapshots = ()
