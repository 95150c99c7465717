"""Reading the file that a log travels in, line by line, and finding out whether it is whole."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import UUID

import orjson

from eventstore.archive.lines import (
    FORMAT,
    FORMAT_VERSION,
    MAX_LINE_BYTES,
    Document,
    Entry,
    Header,
    RefusedLine,
    seal_of,
)
from eventstore.chain import MAX_WHOLE_NUMBER, canonical_time, check_json, check_text
from eventstore.exceptions import InvalidEventData
from eventstore.records import CommandKey, CommandRecord, RecordedEvent


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, each with its line break; the last one may lack it. Raises RefusedLine."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise RefusedLine(f"longer than {MAX_LINE_BYTES} bytes")
        yield line


def read_header(line: bytes) -> Header | None:
    """Return what the first line says, None if it is that of another kind of file. Raises RefusedLine."""
    if not line.startswith(b'{"kind":'):
        return None
    document = _document(line)
    if document["kind"] != FORMAT:
        raise RefusedLine(f"not the first line of a {FORMAT} file")
    if document.get("format_version") != FORMAT_VERSION:
        raise RefusedLine(
            f"format version {_shown(document.get('format_version'))}; this release reads version {FORMAT_VERSION}"
        )
    values = _values(document, _HEADER)
    if values["after_position"] > values["head"]:
        raise RefusedLine("after_position is beyond the head")
    del values["format_version"]
    return Header(**values)


def read_entries(header: Header, lines: Iterator[bytes]) -> Iterator[Entry]:
    """Yield the verdicts and events of a file from its second line on, and what is wrong with the file as a whole."""
    reading = _Reading(header)
    number = 2
    try:
        for number, line in enumerate(lines, start=2):
            try:
                entry = reading.entry(number, line)
            except RefusedLine as refused:
                entry = Entry(line=number, problem=str(refused))
            if entry:
                yield entry
            number += 1
    except RefusedLine as refused:
        yield Entry(line=number, problem=str(refused))
        return
    if not reading.has_ended:
        yield Entry(line=number, problem="the file is cut off: its last line is missing")


class _Reading:
    """How far a file has been read, and what has to come next."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._next_position = header.after_position + 1
        self._last_key = ("", "")
        self._commands = self._events = 0
        self._seal: bytes | None = b""
        self.has_ended = False

    def entry(self, number: int, line: bytes) -> Entry | None:
        """Return what a line holds, None for the end. Raises RefusedLine."""
        if self.has_ended:
            raise RefusedLine("comes after the end")
        # The next line is held against the seal that this one has, right or wrong, so that each trouble is told once.
        previous_seal, self._seal = self._seal, None
        document = _document(line)
        kind = document.get("kind")
        if type(kind) is not str or kind not in _READERS:
            raise RefusedLine(f"kind {_shown(kind)} is unknown")
        values = _values(document, _READERS[kind])
        self._seal = values.pop("seal")
        entry = self._entry(kind, number, values)
        if previous_seal is not None and seal_of(line, previous_seal=previous_seal) != self._seal:
            raise RefusedLine("not as it was written: its seal does not fit it and the line before it")
        return entry

    def _entry(self, kind: str, number: int, values: Document) -> Entry | None:
        match kind:
            case "command":
                return Entry(line=number, command=self._command(values))
            case "event":
                return Entry(line=number, event=self._event(values))
        self._end(values)
        return None

    def _command(self, values: Document) -> CommandRecord:
        self._commands += 1
        first, last = values["first_position"], values["last_position"]
        if (first is None) is not (last is None) or (last is not None and not first <= last <= self._header.head):
            raise RefusedLine("first_position and last_position do not go together")
        last_key, self._last_key = self._last_key, (values["scope"], values["key"])
        # As UTF-8, in the order of the database.
        if [part.encode() for part in self._last_key] <= [part.encode() for part in last_key]:
            raise RefusedLine("the verdicts are not in the order of their keys, each once")
        return CommandRecord(key=CommandKey(values.pop("scope"), values.pop("key")), **values)

    def _event(self, values: Document) -> RecordedEvent:
        self._events += 1
        event = RecordedEvent(**values)
        due, self._next_position = self._next_position, event.position + 1
        if event.position != due:
            raise RefusedLine(f"position {event.position} stands where {due} is due")
        return event

    def _end(self, values: Document) -> None:
        self.has_ended = True
        if (values["commands"], values["events"]) != (self._commands, self._events):
            raise RefusedLine(
                f"the end counts {values['commands']} verdicts and {values['events']} events, "
                f"but there are {self._commands} and {self._events}"
            )
        if self._next_position != self._header.head + 1:
            raise RefusedLine(f"the last position is {self._next_position - 1}, not {self._header.head}")


def _document(line: bytes) -> Document:
    if not line.endswith(b"\n"):
        raise RefusedLine("the line is cut off")
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RefusedLine(f"not JSON: {error}") from None
    if type(document) is not dict:
        raise RefusedLine("not a JSON object")
    return document


def _shown(value: Any) -> str:
    return repr(value)[:100]


_Readers = Mapping[str, Callable[[Any], Any]]


def _values(document: Document, readers: _Readers) -> Document:
    """Return what a line says, by name; `kind` has been seen to before."""
    odd = (document.keys() - {"kind"}) ^ readers.keys()
    if odd:
        raise RefusedLine(f"missing, or too many: {', '.join(sorted(odd))[:200]}")
    values = {}
    for name, reader in readers.items():
        try:
            values[name] = reader(document[name])
        except (ValueError, OverflowError, InvalidEventData) as error:
            raise RefusedLine(f"{name}: {error}") from None
    return values


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not text")
    check_text(value, path="text")
    return value


def _name(value: Any) -> str:
    if not _text(value):
        raise ValueError("empty")
    return str(value)


def _whole_number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_WHOLE_NUMBER:
        raise ValueError("not a whole number from 0 to 2^53-1")
    return value


def _count_from_1(value: Any) -> int:
    if _whole_number(value) < 1:
        raise ValueError("not above 0")
    return int(value)


def _schema_version(value: Any) -> int:
    if _count_from_1(value) >= 2**31:
        raise ValueError("too large")
    return int(value)


def _position_if_any(value: Any) -> int | None:
    return None if value is None else _count_from_1(value)


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("neither true nor false")
    return value


def _object(value: Any) -> Document:
    check_json(value, path="it")
    return dict(value)


def _uuid(value: Any) -> UUID:
    found = UUID(_text(value))
    if str(found) != value:
        raise ValueError("not written as the bank writes ids")
    return found


def _time(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value)).astimezone(UTC)
    if canonical_time(found) != value:
        raise ValueError("not written as the bank writes times")
    return found


def _digest(value: Any) -> bytes:
    found = bytes.fromhex(_text(value))
    if len(found) != 32 or found.hex() != value:
        raise ValueError("not 64 hexadecimal digits")
    return found


def _digest_if_any(value: Any) -> bytes:
    return b"" if value == "" else _digest(value)


_HEADER: _Readers = {
    "format_version": _whole_number,
    "after_position": _whole_number,
    "after_hash": _digest_if_any,
    "head": _whole_number,
    "exported_at": _time,
}
_READERS: Mapping[str, _Readers] = {
    "command": {
        "scope": _name,
        "key": _name,
        "fingerprint": _text,
        "refused": _truth,
        "result": _object,
        "first_position": _position_if_any,
        "last_position": _position_if_any,
        "recorded_at": _time,
        "seal": _digest,
    },
    "event": {
        "position": _count_from_1,
        "stream_id": _name,
        "version": _count_from_1,
        "event_id": _uuid,
        "event_type": _name,
        "schema_version": _schema_version,
        "data": _object,
        "metadata": _object,
        "occurred_at": _time,
        "recorded_at": _time,
        "hash": _digest,
        "seal": _digest,
    },
    "end": {"commands": _whole_number, "events": _whole_number, "seal": _digest},
}
