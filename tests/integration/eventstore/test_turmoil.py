"""Eight writers, a polling reader, refusals and killed connections: nothing lost, nothing twice, all in order."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from eventstore.chain import event_hash
from eventstore.exceptions import StoreUnavailable
from eventstore.execution import Stream, StreamKind, execute
from eventstore.postgres import PostgresEventStore
from eventstore.records import CommandContext, CommandKey, Decision, DraftEvent, Outcome, RecordedEvent
from tests.polling import wait_until

WRITERS = 8
COMMANDS_PER_WRITER = 40
KILLS = 12

COUNTER = StreamKind(
    snapshot_schema_version=1,
    initial=lambda: 0,
    apply=lambda count, event_type, schema_version, data: count + 1,
    to_snapshot=lambda count: {"count": count},
    from_snapshot=lambda state: state["count"],
)


@dataclass(frozen=True)
class Count:
    """Count one more; `refuse` makes it a refusal."""

    stream_id: str
    key: str
    refuse: bool


def decide(states: Any, command: Count, now: Any, new_id: Any) -> Decision:
    count = states[command.stream_id].state
    if command.refuse:
        return Decision(result={"refusedAt": count}, refused=True)
    draft = DraftEvent(event_id=new_id(), event_type="Counted", schema_version=1, data={"key": command.key})
    return Decision(events={command.stream_id: (draft,)}, result={"count": count + 1})


def execute_until_known(command: Count) -> Outcome:
    """Do what a client does: repeat the command under its key until the bank knows the outcome."""
    while True:
        try:
            return execute(
                streams=[Stream(stream_id=command.stream_id, kind=COUNTER)],
                command=command,
                decide=decide,
                context=CommandContext(key=CommandKey("turmoil", command.key), fingerprint=command.key),
                store=PostgresEventStore(),
            )
        except StoreUnavailable:
            continue


def write(stream_id: str, seed: int, kills_are_over: Event) -> list[Outcome]:
    """Write for as long as writers are killed, and for a while at least."""
    dice = random.Random(seed)
    outcomes: list[Outcome] = []
    try:
        while len(outcomes) < COMMANDS_PER_WRITER or not kills_are_over.is_set():
            outcomes.append(
                execute_until_known(Count(stream_id=stream_id, key=str(uuid4()), refuse=dice.random() < 0.2))
            )
        return outcomes
    finally:
        connection.close()


def poll(after_position: int, done: Event) -> list[RecordedEvent]:
    """Read on from the last position seen, as a projection does, until all is written and read."""
    store = PostgresEventStore()
    seen: list[RecordedEvent] = []
    try:
        while True:
            was_done = done.is_set()
            batch = store.read_all(after_position=after_position, limit=50)
            seen += batch
            if batch:
                after_position = batch[-1].position
            elif was_done:
                return seen
    finally:
        connection.close()


def kill_writers() -> None:
    """End the sessions of writers at random, as a failing network would."""
    with connection.cursor() as cursor:
        for _ in range(KILLS):
            wait_until(lambda: _kill_one(cursor))


def _kill_one(cursor) -> bool:
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'"
        " AND query LIKE '%FROM append_events%' ORDER BY random() LIMIT 1"
    )
    return bool(cursor.fetchall())


@pytest.mark.parametrize("number_of_streams", [1, WRITERS])
def test_nothing_is_lost_and_nothing_is_twice(number_of_streams):
    run = uuid4()
    stream_ids = [f"turmoil-{run}-{number}" for number in range(number_of_streams)]
    store = PostgresEventStore()
    before = store.head_position()
    kills_are_over, done = Event(), Event()
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(poll, before, done)
        writers = [
            pool.submit(write, stream_ids[number % number_of_streams], number, kills_are_over)
            for number in range(WRITERS)
        ]
        try:
            kill_writers()
            kills_are_over.set()
            outcomes = [outcome for writer in writers for outcome in writer.result()]
        finally:
            # Or the pool would wait for ever for those that wait for these.
            kills_are_over.set()
            done.set()
        seen = reader.result()

    accepted = [outcome for outcome in outcomes if not outcome.refused]
    assert len(outcomes) >= WRITERS * COMMANDS_PER_WRITER
    assert 0 < len(accepted) < len(outcomes)
    assert sorted(event.position for event in seen) == [event.position for event in seen]
    assert [event.position for event in seen] == list(range(before + 1, before + 1 + len(accepted)))
    assert sorted(event.position for event in seen) == sorted(outcome.last_position or 0 for outcome in accepted)
    assert len({event.data["key"] for event in seen}) == len(accepted)
    for stream_id in stream_ids:
        check_stream(
            store.read_stream(stream_id, limit=len(seen) + 1), [event for event in seen if event.stream_id == stream_id]
        )


def check_stream(stored: list[RecordedEvent], seen: list[RecordedEvent]) -> None:
    assert stored == seen
    assert [event.version for event in stored] == list(range(1, len(stored) + 1))
    previous_hash = b""
    for event in stored:
        previous_hash = event_hash(
            previous_hash=previous_hash, stream_id=event.stream_id, version=event.version, event=event
        )
        assert event.hash == previous_hash
