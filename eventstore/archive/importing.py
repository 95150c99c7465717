"""Taking in a log that was written elsewhere: all of a file in one transaction, or nothing of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import transaction

from eventstore.archive.lines import Entry, Header, RefusedLine
from eventstore.archive.rows import (
    StoredLink,
    fetch,
    hash_at,
    stored_commands,
    stored_links,
    write_commands,
    write_events,
)
from eventstore.chain import event_hash
from eventstore.exceptions import InvalidEventData
from eventstore.records import CommandRecord, RecordedEvent
from eventstore.store import event_store

BATCH_LINES = 1_000
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a line."""

    line: int
    problem: str


class RefusedFile(Exception):
    """A file was refused and nothing was written; `problems` are the first ones found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass(slots=True, kw_only=True)
class Imported:
    """How much of a file was new and how much was in the log before, and where the log ends now."""

    new_events: int = 0
    new_commands: int = 0
    known_events: int = 0
    known_commands: int = 0
    head: int


def import_log(*, header: Header | None, entries: Iterable[Entry], on_batch: Callable[[int], None]) -> Imported:
    """Write the events and verdicts of `entries` that are not in the log, in one transaction.

    What is in the log must be the same; what is new must follow it. The log's lock is held from the first line to the
    last, so nobody appends in between, and nobody sees half of a log: a transfer that is in flight half-way through a
    file would be settled once more. `on_batch` is given the number of lines of each batch.

    Raises RefusedFile with at most MAX_PROBLEMS problems, StoreUnavailable and the database's errors.
    """
    with transaction.atomic(durable=True):
        fetch("begin_import", {})
        importing = _Import(log_head=event_store().head_position())
        if header:
            _require_log_before(header, importing.imported.head)
        lines = iter(entries)
        while batch := list(islice(lines, BATCH_LINES)):
            importing.take(batch)
            if len(importing.problems) >= MAX_PROBLEMS:
                break
            on_batch(len(batch))
        if importing.problems:
            raise RefusedFile(importing.problems[:MAX_PROBLEMS])
    return importing.imported


class _Import:
    """One reading of a file."""

    def __init__(self, *, log_head: int) -> None:
        self.imported = Imported(head=log_head)
        self.problems: list[Problem] = []
        self._log_head = log_head

    def take(self, batch: Sequence[Entry]) -> None:
        """Write a batch. From the first problem on, all that is done is to look for more in the lines themselves."""
        self.problems += [Problem(line=entry.line, problem=entry.problem) for entry in batch if entry.problem]
        if self.problems:
            return
        try:
            self._write_commands([(entry.line, entry.command) for entry in batch if entry.command])
            self._write_events([(entry.line, entry.event) for entry in batch if entry.event])
        except _Misfit as misfit:
            self.problems.append(misfit.problem)

    def _write_commands(self, commands: Sequence[tuple[int, CommandRecord]]) -> None:
        stored = stored_commands([command.key for _, command in commands]) if commands else {}
        new = []
        for line, command in commands:
            if command.key not in stored:
                new.append(command)
            elif stored[command.key] != command:
                raise _Misfit(line, f"the log holds another verdict under key {command.key.key!r}")
        if new:
            write_commands(new)
        self.imported.new_commands += len(new)
        self.imported.known_commands += len(stored)

    def _write_events(self, events: Sequence[tuple[int, RecordedEvent]]) -> None:
        links = _stored([event for _, event in events])
        new: list[RecordedEvent] = []
        previous_hashes: list[bytes] = []
        for line, event in events:
            key = (event.stream_id, event.version)
            try:
                previous = _previous(event, links)
                event = _chained(event, previous)
                if key in links:
                    _require_same(event, links[key], self._log_head)
                    continue
                event = _placed(event, self.imported.head + len(new) + 1)
            except RefusedLine as refused:
                raise _Misfit(line, str(refused)) from None
            links[key] = _link(event)
            new.append(event)
            previous_hashes.append(previous.hash if previous else b"")
        if new:
            write_events(new, previous_hashes=previous_hashes)
        self.imported.head += len(new)
        self.imported.new_events += len(new)
        self.imported.known_events += len(events) - len(new)


class _Misfit(Exception):
    """A line does not fit the log, or what came before it in the file."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.problem = Problem(line=line, problem=problem)


def _require_log_before(header: Header, log_head: int) -> None:
    """Raise RefusedFile unless the log has what came before the file."""
    problem = ""
    if header.after_position > log_head:
        problem = f"the log ends at position {log_head}, and the file goes on after {header.after_position}"
    elif hash_at(position=header.after_position) != header.after_hash:
        problem = f"the file goes on after another event than the log holds at position {header.after_position}"
    if problem:
        raise RefusedFile([Problem(line=1, problem=problem)])


_Links = dict[tuple[str, int], StoredLink]


def _stored(events: Sequence[RecordedEvent]) -> _Links:
    """Return which of `events` are in the log already, and the predecessors that are."""
    wanted = {(event.stream_id, event.version) for event in events}
    wanted |= {(stream_id, version - 1) for stream_id, version in wanted if version > 1}
    return stored_links(sorted(wanted)) if wanted else {}


def _previous(event: RecordedEvent, links: _Links) -> StoredLink | None:
    previous = links.get((event.stream_id, event.version - 1))
    if previous is None and event.version > 1:
        raise RefusedLine(f"version {event.version} of {event.stream_id} comes without the one before it")
    return previous


def _chained(event: RecordedEvent, previous: StoredLink | None) -> RecordedEvent:
    """Return the event with its hash, which must be the one that it brings, if it brings one."""
    if previous and event.occurred_at < previous.occurred_at:
        raise RefusedLine(f"it is dated before version {event.version - 1} of {event.stream_id}")
    try:
        link = event_hash(
            previous_hash=previous.hash if previous else b"",
            stream_id=event.stream_id,
            version=event.version,
            event=event,
        )
    except InvalidEventData as error:
        raise RefusedLine(str(error)) from None
    if event.hash not in (b"", link):
        raise RefusedLine("its hash is not that of what it says and of the event before it in its stream")
    return event._replace(hash=link)


def _link(event: RecordedEvent) -> StoredLink:
    return StoredLink(
        position=event.position, occurred_at=event.occurred_at, recorded_at=event.recorded_at, hash=event.hash
    )


def _require_same(event: RecordedEvent, stored: StoredLink, log_head: int) -> None:
    if stored.position > log_head:
        raise RefusedLine(f"version {event.version} of {event.stream_id} comes twice")
    if stored.hash != event.hash:
        raise RefusedLine(f"the log holds another event as version {event.version} of {event.stream_id}")
    if event.position and (stored.position, stored.recorded_at) != (event.position, event.recorded_at):
        raise RefusedLine("the log holds this event at another position, or recorded at another time")


def _placed(event: RecordedEvent, next_position: int) -> RecordedEvent:
    if event.position not in (0, next_position):
        raise RefusedLine(f"the log holds another event at position {event.position}")
    return event._replace(position=next_position)
