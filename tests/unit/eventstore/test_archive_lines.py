"""The lines of the file that a log travels in: what is written is what is read, and no byte can be changed unseen."""

from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from itertools import chain
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from eventstore.archive.lines import (
    Entry,
    Header,
    RefusedLine,
    command_document,
    end_document,
    event_document,
    header_line,
    sealed_line,
)
from eventstore.archive.reading import read_entries, read_header, read_lines
from eventstore.records import CommandKey, CommandRecord, RecordedEvent

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = TEXTS.filter(bool)
WHOLE_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE_NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
EVENTS = st.builds(
    RecordedEvent,
    event_id=st.uuids(),
    stream_id=NAMES,
    version=st.integers(1, 2**53 - 1),
    position=st.just(0),
    event_type=NAMES,
    schema_version=st.integers(1, 2**31 - 1),
    data=DOCUMENTS,
    metadata=DOCUMENTS,
    occurred_at=TIMES,
    recorded_at=TIMES,
    hash=st.binary(min_size=32, max_size=32),
)
COMMANDS = st.builds(
    CommandRecord,
    key=st.builds(CommandKey, NAMES, NAMES),
    fingerprint=TEXTS,
    result=DOCUMENTS,
    refused=st.booleans(),
    first_position=st.none(),
    last_position=st.none(),
    recorded_at=TIMES,
)
MOMENT = datetime(2026, 3, 22, 12, tzinfo=UTC)


def written(commands: list[CommandRecord], events: list[RecordedEvent]) -> list[bytes]:
    header = Header(after_position=7, after_hash=bytes(32), head=7 + len(events), exported_at=MOMENT)
    documents = chain(
        map(command_document, commands),
        map(event_document, events),
        [end_document(commands=len(commands), events=len(events))],
    )
    lines, seal = [header_line(header)], b""
    for document in documents:
        line, seal = sealed_line(document, previous_seal=seal)
        lines.append(line)
    return lines


def read(lines: list[bytes]) -> list[Entry]:
    header = read_header(lines[0])
    assert header
    return list(read_entries(header, iter(lines[1:])))


def placed(events: list[RecordedEvent]) -> list[RecordedEvent]:
    return [event._replace(position=position) for position, event in enumerate(events, start=8)]


@given(st.lists(COMMANDS, max_size=3, unique_by=lambda command: command.key), st.lists(EVENTS, max_size=3))
def test_what_is_written_is_what_is_read(commands, events):
    commands = sorted(commands, key=lambda command: (command.key.scope.encode(), command.key.key.encode()))
    events = placed(events)
    lines = written(commands, events)
    entries = read(lines)
    assert [entry.problem for entry in entries] == [None] * (len(commands) + len(events))
    assert [entry.command for entry in entries if entry.command] == commands
    assert [entry.event for entry in entries if entry.event] == events
    assert written(commands, [entry.event for entry in entries if entry.event]) == lines


@cache
def some_lines() -> list[bytes]:
    event = RecordedEvent(
        event_id=UUID(int=5),
        stream_id="thing-1",
        version=1,
        position=8,
        event_type="ThingHappened",
        schema_version=1,
        data={"amount": 1000, "text": "é"},
        metadata={},
        occurred_at=MOMENT,
        recorded_at=MOMENT,
        hash=bytes(32),
    )
    return written([], placed([event] * 3))


@given(st.data())
def test_no_byte_can_be_changed_unseen(data):
    """Those of the header are not sealed: what it says is held against the lines, but for the time of the export."""
    lines = some_lines()
    whole = bytearray(b"".join(lines))
    place = data.draw(st.integers(len(lines[0]), len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    assert any(entry.problem for entry in read(list(read_lines(BytesIO(whole)))))


@given(st.data())
def test_no_line_can_be_dropped_repeated_or_moved_unseen(data):
    lines = some_lines()
    order = data.draw(st.lists(st.integers(1, len(lines) - 1), max_size=len(lines) + 1))
    if order != list(range(1, len(lines))):
        assert any(entry.problem for entry in read([lines[0], *[lines[place] for place in order]]))


@given(st.binary(max_size=60) | st.builds(lambda rest: b'{"kind":' + rest, st.binary(max_size=60)))
def test_no_first_line_surprises(line):
    try:
        header = read_header(line)
    except RefusedLine:
        return
    assert header is None or isinstance(header, Header)
