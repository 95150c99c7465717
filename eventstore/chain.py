"""The hash chain of a stream: whoever alters, drops or reorders an event breaks it for everyone to see."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from eventstore.exceptions import InvalidEventData
from eventstore.records import JsonObject, NewEvent, RecordedEvent

MAX_WHOLE_NUMBER = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""

MAX_DEPTH = 8

_PLAIN_TYPES = frozenset({str, int, bool, type(None)})
_NUL = rb"\u0000"


def chain_hashes(
    *, stream_id: str, version: int, previous_hash: bytes, events: Sequence[NewEvent]
) -> tuple[bytes, ...]:
    """Return the hash of each of `events`, which follow `version` (whose hash is `previous_hash`, b"" at version 0).

    Raises InvalidEventData for what jsonb would refuse or change.
    """
    hashes = []
    for offset, event in enumerate(events, start=1):
        previous_hash = event_hash(
            previous_hash=previous_hash, stream_id=stream_id, version=version + offset, event=event
        )
        hashes.append(previous_hash)
    return tuple(hashes)


def event_hash(*, previous_hash: bytes, stream_id: str, version: int, event: NewEvent | RecordedEvent) -> bytes:
    """Return sha256 over the previous hash and the event's canonical JSON: sorted keys, no spaces, UTF-8."""
    data, metadata = canonical_documents(event)
    # The keys stand here as they are sorted.
    canonical = orjson.dumps(
        {
            "data": orjson.Fragment(data),
            "event_id": event.event_id,
            "event_type": event.event_type,
            "metadata": orjson.Fragment(metadata),
            "occurred_at": canonical_time(event.occurred_at),
            "schema_version": event.schema_version,
            "stream_id": stream_id,
            "version": version,
        }
    )
    return hashlib.sha256(previous_hash + canonical).digest()


def canonical_documents(event: NewEvent | RecordedEvent) -> tuple[bytes, bytes]:
    """Return data and metadata of `event` as canonical JSON, of a new event always that of the first time.

    Raises InvalidEventData for what jsonb would refuse or change.
    """
    if isinstance(event, NewEvent) and event.canonical:
        return event.canonical
    documents = canonical_json(event.data, path="data"), canonical_json(event.metadata, path="metadata")
    if isinstance(event, NewEvent):
        # Remembered, not changed: what is hashed is what is written, and is written out once.
        object.__setattr__(event, "canonical", documents)
    return documents


def canonical_time(moment: datetime) -> str:
    """Return UTC with microseconds, PostgreSQL's own resolution: 2026-03-22T10:00:00.000000Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def canonical_json(document: JsonObject, *, path: str) -> bytes:
    """Return `document` with sorted keys and no spaces, in UTF-8.

    Raises InvalidEventData unless jsonb gives it back exactly as it is.
    """
    if not isinstance(document, dict):
        raise InvalidEventData(path=path, problem="not an object")
    written = _written_if_plain(document)
    if written is None:
        _check_value(document, path, MAX_DEPTH)
        written = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return written


def check_json(document: JsonObject, *, path: str) -> None:
    """Raise InvalidEventData unless jsonb gives `document` back exactly as it is."""
    canonical_json(document, path=path)


def check_text(text: str, *, path: str) -> None:
    """Raise InvalidEventData unless PostgreSQL can hold `text`."""
    if text.isascii() and "\x00" not in text:
        return
    if "\x00" in text:
        raise InvalidEventData(path=path, problem="NUL in text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidEventData(path=path, problem="lone surrogate in text") from None


def _written_if_plain(document: JsonObject) -> bytes | None:
    """Return `document` as canonical JSON, if it is so simple that this tells that it is well: as in most events.

    Types are looked at here; orjson refuses numbers beyond 2^53-1 and lone surrogates, and writes NUL in one way.
    """
    if not _PLAIN_TYPES.issuperset(map(type, document.values())):
        return None
    try:
        written = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return None
    return None if _NUL in written else written


def _check_value(value: Any, path: str, depth_left: int) -> None:
    kind = type(value)
    if kind is str:
        check_text(value, path=path)
    elif kind is int:
        if not -MAX_WHOLE_NUMBER <= value <= MAX_WHOLE_NUMBER:
            raise InvalidEventData(path=path, problem="number beyond 2^53-1")
    elif value is None or kind is bool:
        return
    elif depth_left == 0:
        raise InvalidEventData(path=path, problem="nested too deeply")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise InvalidEventData(path=path, problem="key is not text")
            check_text(key, path=path)
            _check_value(item, f"{path}.{key}", depth_left - 1)
    elif kind in (list, tuple):
        for item in value:
            _check_value(item, path, depth_left - 1)
    else:
        raise InvalidEventData(path=path, problem=f"{kind.__name__} is not exact in JSON")
