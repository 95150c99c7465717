"""The two stores give the same answers to the same calls, whatever the calls."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.exceptions import InvalidAppend
from eventstore.memory import MemoryEventStore
from eventstore.postgres import PostgresEventStore
from eventstore.records import CommandKey, Commit, RecordedEvent, StreamRequest
from eventstore.store import EventStore
from tests.factories import (
    NOON,
    CommitFactory,
    NewCommandFactory,
    NewEventFactory,
    SnapshotFactory,
    StreamAppendFactory,
)

STREAMS, KEYS = 3, 3


@dataclass
class World:
    """The few streams and keys that one story is about, so that its calls meet often."""

    run: str = field(default_factory=lambda: str(uuid4()))
    heads: dict[int, int] = field(default_factory=dict)
    hashes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def stream_id(self, number: int) -> str:
        return f"thing-{self.run}-{number}"

    def key(self, number: int) -> CommandKey:
        return CommandKey(scope=self.run, key=str(number))


@st.composite
def stream_plans(draw: Callable[..., Any]) -> dict[str, Any]:
    """How one stream takes part in a commit: mostly with a right expected version, mostly with times in order."""
    return {
        "off_by": draw(st.sampled_from([0, 0, 0, 0, 0, -1, 1])),
        "events": draw(st.integers(0, 3)),
        "builds_on": draw(st.sampled_from(["anything", "what is there", "what is there", "something else"])),
        "late_by_seconds": draw(st.sampled_from([0, 0, 0, 0, 0, 0, 1])),
        "snapshot": draw(st.sampled_from([None, None, 1, 2])),
    }


commit_plans = st.fixed_dictionaries(
    {
        "streams": st.dictionaries(st.integers(1, STREAMS), stream_plans(), min_size=1),
        "key": st.none() | st.integers(1, KEYS),
        "refused": st.booleans(),
    }
)

# What most calls are, and what the log takes a shorter way for: commits of one event each.
single_event_plans = st.fixed_dictionaries(
    {
        "streams": st.dictionaries(
            st.integers(1, STREAMS), stream_plans().map(lambda plan: plan | {"events": 1}), min_size=1, max_size=1
        ),
        "key": st.none() | st.integers(1, KEYS),
        "refused": st.just(False),
    }
)
calls = st.lists(commit_plans, min_size=1, max_size=4) | st.lists(single_event_plans, min_size=1, max_size=4)
stories = st.lists(calls, min_size=1, max_size=5)


def commit_from(plan: dict[str, Any], world: World) -> Commit:
    """Return the commit that `plan` describes, expecting what the plans before it would leave behind."""
    streams, snapshots = [], []
    for number, part in plan["streams"].items():
        head = world.heads.get(number, 0)
        occurred_at = NOON + timedelta(seconds=part["late_by_seconds"])
        stream = StreamAppendFactory.build(
            stream_id=world.stream_id(number),
            expected_version=max(head + part["off_by"], 0),
            events=tuple(NewEventFactory.build_batch(part["events"], occurred_at=occurred_at)),
        )
        stream = replace(stream, previous_hash=built_on(part["builds_on"], number, stream.expected_version, world))
        version = stream.expected_version + len(stream.events)
        world.hashes |= {(number, at): link for at, link in enumerate(stream.hashes, start=stream.expected_version + 1)}
        if part["snapshot"] and stream.events:
            snapshots.append(SnapshotFactory.build(of=stream, schema_version=part["snapshot"]))
        streams.append(stream)
        world.heads[number] = version
    command = plan["key"] and NewCommandFactory.build(key=world.key(plan["key"]), refused=plan["refused"])
    return CommitFactory.build(streams=tuple(streams), command=command or None, snapshots=tuple(snapshots))


def built_on(what: str, number: int, version: int, world: World) -> bytes | None:
    """Return the hash that a commit says to build on; none, if it is at a version that was never proposed."""
    if what == "anything" or (version and (number, version) not in world.hashes):
        return None
    if version == 0:
        return b""
    return world.hashes[number, version] if what == "what is there" else bytes(32)


def without_place(record: Any, start: int) -> Any:
    """Return `record` with positions counted from `start` and no time of insertion: all that two logs may differ in."""
    if isinstance(record, RecordedEvent):
        return without_place(record._replace(position=record.position - start, recorded_at=NOON)._asdict(), start)
    if isinstance(record, list | tuple):
        return [without_place(item, start) for item in record]
    if isinstance(record, dict):
        return {key: without_place(item, start) for key, item in record.items()}
    changes: dict[str, Any] = {}
    for name in getattr(record, "__dataclass_fields__", ()):
        value = getattr(record, name)
        if name in ("position", "first_position", "last_position"):
            changes[name] = value and value - start
        elif name == "recorded_at":
            changes[name] = None
        else:
            changes[name] = without_place(value, start)
    return replace(record, **changes) if changes else record


def told_by(store: EventStore, commits: list[Commit]) -> Any:
    """Return what `store` answers to one call."""
    try:
        return store.append(commits)
    except InvalidAppend as error:
        return type(error)


def held_by(store: EventStore, world: World) -> list[Any]:
    """Return all that `store` gives to read about the world."""
    by_schema_version = [
        [
            StreamRequest(stream_id=world.stream_id(number), snapshot_schema_version=schema_version)
            for number in range(1, STREAMS + 1)
        ]
        for schema_version in (1, 2)
    ]
    return [
        store.load(requests, command_key=world.key(number))
        for requests in by_schema_version
        for number in range(1, KEYS + 1)
    ]


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(story=stories)
def test_both_stores_give_the_same_answers(story: list[list[dict[str, Any]]]):
    world, memory, postgres = World(), MemoryEventStore(), PostgresEventStore()
    start = postgres.head_position()
    for call in story:
        commits = [commit_from(plan, world) for plan in call]
        assert without_place(told_by(postgres, commits), start) == without_place(told_by(memory, commits), 0)
        assert without_place(held_by(postgres, world), start) == without_place(held_by(memory, world), 0)
        world.hashes = {
            (number, event.version): event.hash
            for number in range(1, STREAMS + 1)
            for event in memory.read_stream(world.stream_id(number), limit=1_000)
        }
        world.heads = {
            number: len(memory.read_stream(world.stream_id(number), limit=1_000)) for number in range(1, STREAMS + 1)
        }
    in_postgres = postgres.read_all(after_position=start, limit=1_000)
    assert without_place(in_postgres, start) == without_place(memory.read_all(after_position=0, limit=1_000), 0)
