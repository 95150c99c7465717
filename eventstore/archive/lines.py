"""The lines of the file that a log travels in: a header, the verdicts, the events, and an end.

Each line after the header ends with a seal: SHA-256 over the seal of the line before it and the line itself without its
own seal. So a line that is altered, dropped, repeated or elsewhere shows where it stands. The header has none: the time
that it names is all that two exports of the same log differ in.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from eventstore.chain import canonical_time
from eventstore.records import CommandRecord, RecordedEvent

FORMAT = "bank-log"
FORMAT_VERSION = 1
MAX_LINE_BYTES = 2**20
"""Far more than any event: a file that is none of ours may have no line break at all."""

_SEAL = b',"seal":"%s"}\n'
_SEAL_BYTES = len(_SEAL % (b"0" * 64))

Document: TypeAlias = dict[str, Any]


class RefusedLine(Exception):
    """A line cannot be imported; `str()` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file holds: the events after one position up to another, and when it was begun.

    `after_hash` is that of the event at `after_position`, b"" at position 0: the file goes on where that one is.
    """

    after_position: int
    after_hash: bytes
    head: int
    exported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one line of a file holds: an event, a verdict, or neither, and then `problem` says why.

    An event of position 0 takes the next free one; one whose hash is b"" is yet to be chained.
    """

    line: int
    event: RecordedEvent | None = None
    command: CommandRecord | None = None
    problem: str | None = None


def header_line(header: Header) -> bytes:
    """Return the first line."""
    document = {
        "kind": FORMAT,
        "format_version": FORMAT_VERSION,
        "after_position": header.after_position,
        "after_hash": header.after_hash.hex(),
        "head": header.head,
        "exported_at": canonical_time(header.exported_at),
    }
    return orjson.dumps(document) + b"\n"


def command_document(command: CommandRecord) -> Document:
    """Return what the line of a verdict says."""
    return {
        "kind": "command",
        "scope": command.key.scope,
        "key": command.key.key,
        "fingerprint": command.fingerprint,
        "refused": command.refused,
        "result": command.result,
        "first_position": command.first_position,
        "last_position": command.last_position,
        "recorded_at": canonical_time(command.recorded_at),
    }


def event_document(event: RecordedEvent) -> Document:
    """Return what the line of an event says."""
    return {
        "kind": "event",
        "position": event.position,
        "stream_id": event.stream_id,
        "version": event.version,
        "event_id": str(event.event_id),
        "event_type": event.event_type,
        "schema_version": event.schema_version,
        "data": event.data,
        "metadata": event.metadata,
        "occurred_at": canonical_time(event.occurred_at),
        "recorded_at": canonical_time(event.recorded_at),
        "hash": event.hash.hex(),
    }


def end_document(*, commands: int, events: int) -> Document:
    """Return what the last line says: how many lines of each kind came before it."""
    return {"kind": "end", "commands": commands, "events": events}


def sealed_line(document: Document, *, previous_seal: bytes) -> tuple[bytes, bytes]:
    """Return `document` as a line, and its seal. `previous_seal` is that of the line before, b"" after the header."""
    unsealed = orjson.dumps(document)
    seal = hashlib.sha256(previous_seal + unsealed).digest()
    return unsealed[:-1] + _SEAL % seal.hex().encode(), seal


def seal_of(line: bytes, *, previous_seal: bytes) -> bytes:
    """Return the seal that a line must end with if it is as it was written, in its place."""
    return hashlib.sha256(previous_seal + line[:-_SEAL_BYTES] + b"}").digest()
