"""Writing the log to the file that it travels in, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from eventstore.archive.lines import (
    Document,
    Header,
    command_document,
    end_document,
    event_document,
    header_line,
    sealed_line,
)
from eventstore.archive.rows import command_record, fetch, hash_at
from eventstore.records import CommandRecord, RecordedEvent
from eventstore.store import event_store

PAGE_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How much a file holds, and the position of its last event."""

    head: int
    commands: int
    events: int


class AfterTheHead(Exception):
    """The events after a position were asked for that the log has not reached; `head` is where it stands."""

    def __init__(self, *, head: int) -> None:
        super().__init__(head)
        self.head = head


class MissingEvent(Exception):
    """The log is damaged: there is no event at `position`, and there are some after it."""

    def __init__(self, *, position: int) -> None:
        super().__init__(position)
        self.position = position


def export_log(
    *, file: BinaryIO, after_position: int, on_begin: Callable[[int], None], on_page: Callable[[int], None]
) -> Exported:
    """Write all that the log holds at this moment after a position; what is appended meanwhile is left out.

    `on_begin` is given the number of events to come, `on_page` that of the events just written. Refusals belong to no
    position: every file has all that there are.

    Raises AfterTheHead, MissingEvent, StoreUnavailable and the database's errors.
    """
    [[head, now]] = fetch("export_end", {})
    if after_position > head:
        raise AfterTheHead(head=head)
    on_begin(head - after_position)
    after_hash = hash_at(position=after_position)
    file.write(header_line(Header(after_position=after_position, after_hash=after_hash, head=head, exported_at=now)))
    sealing = _Sealing(file)
    commands = 0
    for command in _commands(after_position, head, now):
        sealing.write(command_document(command))
        commands += 1
    for page in _pages(after_position, head):
        for event in page:
            sealing.write(event_document(event))
        on_page(len(page))
    events = head - after_position
    sealing.write(end_document(commands=commands, events=events))
    return Exported(head=head, commands=commands, events=events)


class _Sealing:
    """Writes lines, each sealed to the one before it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._seal = b""

    def write(self, document: Document) -> None:
        line, self._seal = sealed_line(document, previous_seal=self._seal)
        self._file.write(line)


def _commands(after_position: int, head: int, now: datetime) -> Iterator[CommandRecord]:
    """Yield the verdicts whose events end after a position and up to the head, and the refusals of before `now`."""
    after: dict[str, Any] = {"after_scope": "", "after_key": ""}
    while page := [command_record(row) for row in fetch("read_commands", {**after, "limit": PAGE_ROWS})]:
        for command in page:
            # Here and not in the query, so that no page takes longer than another.
            last_position = command.last_position
            if command.recorded_at <= now if last_position is None else after_position < last_position <= head:
                yield command
        after = {"after_scope": page[-1].key.scope, "after_key": page[-1].key.key}


def _pages(after_position: int, head: int) -> Iterator[list[RecordedEvent]]:
    while after_position < head:
        page = event_store().read_all(after_position=after_position, limit=min(PAGE_ROWS, head - after_position))
        for position, event in enumerate(page, start=after_position + 1):
            if event.position != position:
                raise MissingEvent(position=position)
        if not page:
            raise MissingEvent(position=after_position + 1)
        yield page
        after_position += len(page)
