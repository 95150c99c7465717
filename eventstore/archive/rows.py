"""How events and verdicts travel between the database and the file that a log travels in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import psycopg
from django.db import connection

from eventstore.records import CommandKey, CommandRecord, RecordedEvent
from eventstore.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLink:
    """Where an event stands in the log, and what its successor in the stream has to know of it."""

    position: int
    occurred_at: datetime
    recorded_at: datetime
    hash: bytes


def fetch(stem: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of one of the event store's statements. Raises Django's database errors."""
    connection.ensure_connection()
    # Below Django's cursor, which would write whole batches into the text of the statement.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(statement(stem), parameters, prepare=False).fetchall()


def hash_at(*, position: int) -> bytes:
    """Return the hash of the event at `position`, b"" if there is none."""
    found = fetch("hash_at_position", {"position": position})
    return bytes(found[0][0]) if found else b""


def stored_links(versions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], StoredLink]:
    """Return those of the given versions of streams that are in the log."""
    stream_ids = [stream_id for stream_id, _ in versions]
    found = fetch("stored_events", {"stream_ids": stream_ids, "versions": [version for _, version in versions]})
    return {
        (stream_id, version): StoredLink(position=position, occurred_at=occurred_at, recorded_at=recorded_at, hash=link)
        for stream_id, version, position, occurred_at, recorded_at, link in found
    }


def stored_commands(keys: Sequence[CommandKey]) -> dict[CommandKey, CommandRecord]:
    """Return the verdicts under those of the given keys that were used."""
    found = fetch("stored_commands", {"scopes": [key.scope for key in keys], "keys": [key.key for key in keys]})
    return {command.key: command for command in map(command_record, found)}


def command_record(row: Sequence[Any]) -> CommandRecord:
    """Return a verdict from its row; the columns are those of read_commands and stored_commands."""
    scope, key, fingerprint, refused, result, first_position, last_position, recorded_at = row
    return CommandRecord(
        key=CommandKey(scope, key),
        fingerprint=fingerprint,
        refused=refused,
        # Django tells psycopg to leave jsonb as text.
        result=orjson.loads(result),
        first_position=first_position,
        last_position=last_position,
        recorded_at=recorded_at,
    )


def write_events(events: Sequence[RecordedEvent], *, previous_hashes: Sequence[bytes]) -> None:
    """Write events, whose positions follow the head, each chained to its previous hash."""
    fetch(
        "import_events",
        {
            "after_position": events[0].position - 1,
            "stream_ids": [event.stream_id for event in events],
            "versions": [event.version for event in events],
            "event_ids": [event.event_id for event in events],
            "event_types": [event.event_type for event in events],
            "schema_versions": [event.schema_version for event in events],
            "datas": [orjson.dumps(event.data).decode() for event in events],
            "metadatas": [orjson.dumps(event.metadata).decode() for event in events],
            "occurred_ats": [event.occurred_at for event in events],
            "recorded_ats": [event.recorded_at for event in events],
            "hashes": [event.hash for event in events],
            "previous_hashes": list(previous_hashes),
        },
    )


def write_commands(commands: Sequence[CommandRecord]) -> None:
    """Write verdicts under keys that were not used."""
    fetch(
        "import_commands",
        {
            "scopes": [command.key.scope for command in commands],
            "keys": [command.key.key for command in commands],
            "fingerprints": [command.fingerprint for command in commands],
            "refusals": [command.refused for command in commands],
            "results": [orjson.dumps(command.result).decode() for command in commands],
            "first_positions": [command.first_position for command in commands],
            "last_positions": [command.last_position for command in commands],
            "recorded_ats": [command.recorded_at for command in commands],
        },
    )
