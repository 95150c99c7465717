"""The event store in PostgreSQL: each call is one round trip with one prepared statement."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import django.db
import orjson
import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from eventstore.append_contract import check_commits
from eventstore.commit_group import CommitGroup
from eventstore.exceptions import AppendInsideTransaction, InvalidAppend, OutcomeUnknown, StoreUnavailable
from eventstore.metrics import UNAVAILABLE
from eventstore.postgres_rows import (
    Row,
    append_parameters,
    append_result,
    event_from_json,
    loaded,
    news,
    recorded_event,
)
from eventstore.prepared import fetch_prepared
from eventstore.records import AppendResult, CommandKey, Commit, Loaded, RecordedEvent, StreamRequest
from eventstore.statements import statement
from eventstore.store import MAX_POSITION
from eventstore.waiting import connect, connection_to

# Classes of SQLSTATE. 08 connection, 25006 a standby, 53 resources, 55P03 lock_timeout, 57 shutdown, statement_timeout.
UNAVAILABLE_STATES = ("08", "25006", "53", "55P03", "57")
# 22 data exception, 23 constraint violation, 54 limit exceeded, BK the bank's own: what `append` was given was wrong.
INVALID_STATES = ("22", "23", "54", "BK")

MOST_IDLE_WITH_RIGHT_OF_WAY = "2s"
"""A process that stands still must not keep all others from appending."""


@cache
def _group_of(using: str) -> CommitGroup:
    """Return the one group of this process for the log in a database: stores come and go, the log stays."""
    return CommitGroup(read_event=event_from_json)


class PostgresEventStore:
    """See `eventstore.store.EventStore` for what each method promises."""

    def __init__(self, *, using: str = "default") -> None:
        self._using = using
        self.group = _group_of(using)

    def check_may_append(self) -> None:
        connection = connections[self._using]
        # Inside somebody's transaction the log's lock would be held until that one commits.
        if connection.in_atomic_block or (connection.connection is not None and not connection.autocommit):
            raise AppendInsideTransaction("append is a transaction of its own")

    def append(self, commits: Sequence[Commit]) -> list[AppendResult]:
        if not commits:
            return []
        check_commits(commits)
        self.check_may_append()
        cache = self.group.cache
        parameters = append_parameters(commits, seen_position=cache.heard_position())
        rows = self._run("append_events", parameters, writes=True)
        position, events = news(rows)
        cache.hear(events, position=max(position, *(row[3] or 0 for row in rows)))
        return [append_result(commit=commit, row=row) for commit, row in zip(commits, rows, strict=True)]

    @contextmanager
    def right_of_way(self) -> Iterator[bool]:
        cache = self.group.cache
        with self._one_connection() as connection:
            asked = {"at_most_idle": MOST_IDLE_WITH_RIGHT_OF_WAY, "seen_position": cache.heard_position()}
            try:
                # Others may have it for as long as their round takes: more commands come meanwhile.
                [[head, told]] = self._run("take_right_of_way", asked, patiently=False)
            except BaseException:
                # It may have been had: it ends with its session.
                connection.close()
                raise
            try:
                if told is not None:
                    cache.hear(orjson.loads(told), position=head)
                yield head == cache.heard_position()
            finally:
                try:
                    self._run("give_right_of_way", {})
                except Exception:
                    # It ends with its session, whatever is wrong with that.
                    connection.close()

    @contextmanager
    def _one_connection(self) -> Iterator[BaseDatabaseWrapper]:
        """Have all that is done meanwhile done in one session. Raises StoreUnavailable if none becomes free."""
        with ExitStack() as lending:
            try:
                connection = lending.enter_context(connection_to(self._using))
            except django.db.OperationalError as error:
                UNAVAILABLE.inc()
                raise StoreUnavailable(str(error)) from error
            yield connection

    def load(
        self,
        streams: Sequence[StreamRequest],
        *,
        command_key: CommandKey | None = None,
        command_keys: Sequence[CommandKey] = (),
    ) -> Loaded:
        parameters: dict[str, Any] = {
            "stream_ids": [request.stream_id for request in streams],
            "snapshot_schemas": [request.snapshot_schema_version for request in streams],
        }
        if command_keys:
            stem = "load_batch"
            parameters["command_scopes"] = [key.scope for key in command_keys]
            parameters["command_keys"] = [key.key for key in command_keys]
        else:
            stem = "load_streams"
            parameters["command_scope"] = command_key.scope if command_key else None
            parameters["command_key"] = command_key.key if command_key else None
        return loaded(streams=streams, rows=self._run(stem, parameters))

    def read_stream(self, stream_id: str, *, after_version: int = 0, limit: int) -> list[RecordedEvent]:
        parameters = {"stream_id": stream_id, "after_version": after_version, "limit": limit}
        return [recorded_event(row) for row in self._run("read_stream", parameters)]

    def read_all(
        self, *, after_position: int, limit: int, up_to_position: int = MAX_POSITION, stream_prefix: str = ""
    ) -> list[RecordedEvent]:
        parameters = {
            "after_position": after_position,
            "up_to_position": up_to_position,
            "stream_prefix": stream_prefix,
            "limit": limit,
        }
        return [recorded_event(row) for row in self._run("read_all", parameters)]

    def head_position(self) -> int:
        [[position]] = self._run("head_position", {})
        return int(position)

    def forget_refusals(self, *, recorded_before: datetime, limit: int) -> int:
        [[forgotten]] = self._run("forget_refusals", {"recorded_before": recorded_before, "limit": limit})
        return int(forgotten)

    def _run(
        self, stem: str, parameters: Mapping[str, Any], *, writes: bool = False, patiently: bool = True
    ) -> list[Row]:
        lent: BaseDatabaseWrapper | None = None
        try:
            with connection_to(self._using) as lent:
                connect(lent)
                # As text, times would be read by Django's way, which takes ten times as long.
                return fetch_prepared(
                    session=lent.connection,
                    statement=_text(stem),
                    parameters=parameters,
                    binary=not writes,
                    patiently=patiently,
                )
        except (psycopg.Error, django.db.Error) as error:
            translated = _translated(error, was_lost=lent is not None and _discard_if_lost(lent), writes=writes)
            if isinstance(translated, StoreUnavailable):
                UNAVAILABLE.inc()
            raise translated from error


@cache
def _text(stem: str) -> str:
    return statement(stem).decode()


def _discard_if_lost(connection: BaseDatabaseWrapper) -> bool:
    if connection.connection is None or not connection.connection.closed:
        return False
    connection.close()
    return True


def _translated(error: Exception, *, was_lost: bool, writes: bool) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if was_lost and writes:
        return OutcomeUnknown("the connection broke during the append")
    if was_lost or isinstance(error, django.db.OperationalError) or state.startswith(UNAVAILABLE_STATES):
        return StoreUnavailable(str(error))
    if writes and (isinstance(error, psycopg.DataError) or state.startswith(INVALID_STATES)):
        return InvalidAppend(str(error))
    return error
