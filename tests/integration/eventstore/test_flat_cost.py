"""Appends and loads cost the same whatever the log holds, even in a session whose plans were made on nothing."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
from django.db import connection

from eventstore.postgres_rows import append_parameters
from eventstore.records import Commit, Snapshot, StreamAppend
from eventstore.statements import statement
from tests.factories import CommitFactory, NewCommandFactory, NewEventFactory, StreamAppendFactory
from tests.integration.eventstore.log_copies import log_copy

EVENTS = 50_000
EVENTS_PER_CALL = 500
CALLS_BETWEEN_MEASURES = 10
COMMITS_SHARED = 8
INDEX_GROWTH_BUFFERS = 12
"""What deeper indexes may add: some ten descents in one append, most of them by a level."""


def run(stem: str, parameters: dict[str, Any]) -> None:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement(stem), parameters, prepare=True).fetchall()


def buffers_touched(stem: str, parameters: Callable[[], dict[str, Any]]) -> int:
    """Return how many shared buffers an execution touches, those of the function's own statements included.

    It is the least of three: after an autovacuum, or much DDL of other sessions, the next execution also reads the
    catalog to plan anew, which says nothing about what the statement costs.
    """
    return min(_buffers_touched_once(stem, parameters()) for _ in range(3))


def _buffers_touched_once(stem: str, parameters: dict[str, Any]) -> int:
    with psycopg.Cursor(connection.connection) as cursor:
        [[[plan]]] = cursor.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement(stem), parameters)
    return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]


def keyed_append(*, commits: int = 1) -> dict[str, Any]:
    return append_parameters([CommitFactory.build(command=NewCommandFactory.build()) for _ in range(commits)])


def shared_append() -> dict[str, Any]:
    return keyed_append(commits=COMMITS_SHARED)


def load_parameters(stream_id: str) -> dict[str, Any]:
    return {"stream_ids": [stream_id], "snapshot_schemas": [1], "command_scope": "flat", "command_key": str(uuid4())}


def bulk_append(stream_id: str, version: int) -> dict[str, Any]:
    events = tuple(NewEventFactory.build_batch(EVENTS_PER_CALL))
    hashes = (bytes(32),) * EVENTS_PER_CALL
    append = StreamAppend(stream_id=stream_id, expected_version=version, events=events, hashes=hashes)
    snapshot = Snapshot(
        stream_id=stream_id,
        version=version + EVENTS_PER_CALL,
        schema_version=1,
        state={},
        hash=hashes[-1],
        occurred_at=events[-1].occurred_at,
    )
    return append_parameters([Commit(streams=(append,), snapshots=(snapshot,))])


def test_buffers_per_call_stay_flat_over_50_000_events():
    hot_stream = f"hot-{uuid4()}"
    appends, shared_appends, loads = [], [], []
    with log_copy():
        # More than five executions, after which PostgreSQL settles on a plan: here while there is nothing yet.
        for _ in range(10):
            run("append_events", keyed_append())
            run("append_events", shared_append())
            run("load_streams", load_parameters(hot_stream))
        for version in range(0, EVENTS, EVENTS_PER_CALL):
            run("append_events", bulk_append(hot_stream, version))
            if version % (EVENTS_PER_CALL * CALLS_BETWEEN_MEASURES) == 0:
                appends.append(buffers_touched("append_events", keyed_append))
                shared_appends.append(buffers_touched("append_events", shared_append))
                loads.append(buffers_touched("load_streams", lambda: load_parameters(hot_stream)))
    assert len(appends) == len(shared_appends) == len(loads) == 10
    assert max(appends) <= appends[0] + INDEX_GROWTH_BUFFERS, appends
    assert max(shared_appends) <= shared_appends[0] + COMMITS_SHARED * INDEX_GROWTH_BUFFERS, shared_appends
    assert max(loads) <= loads[0] + INDEX_GROWTH_BUFFERS, loads


def test_a_new_commit_on_a_long_stream_touches_little():
    long_stream = StreamAppendFactory.build(number_of_events=2_000)
    with log_copy():
        run("append_events", append_parameters([Commit(streams=(long_stream,))]))
        again = append_parameters([Commit(streams=(StreamAppendFactory.build(stream_id=long_stream.stream_id),))])
        run("append_events", again)
        assert buffers_touched("append_events", lambda: again) < 30
