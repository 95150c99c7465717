"""`manage.py import_events FILE|-`: takes in what `export_events` wrote, or the events of the NestJS project."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError
from psycopg.errors import InsufficientPrivilege

from accounts.nestjs_rows import NestjsRows
from bank.known_events import checked
from eventstore.archive.importing import Imported, Problem, RefusedFile, import_log
from eventstore.archive.lines import Entry, RefusedLine
from eventstore.archive.reading import read_entries, read_header, read_lines
from eventstore.progress_bar import progress_bar

STDIN = "-"


class Command(BaseCommand):
    """Imports a file as a whole or not at all; what is in the log already is skipped. For the owner of the log."""

    help = "Take in a file of export_events, or rows of the NestJS project's table, all of it or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file's name."""
        parser.add_argument("file", help="what to read; - for standard input")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        """Import, and say what was new. Raises CommandError with the lines that cannot be imported."""
        if settings.IN_MEMORY:
            raise CommandError("import_events needs PostgreSQL: an in-memory bank keeps nothing", returncode=2)
        rows = NestjsRows()
        try:
            with _opened(file) as lines_of:
                imported = _import(lines_of, rows)
        except RefusedFile as refused:
            raise CommandError(f"{_told(refused.problems)}\n{file} was refused: nothing was imported") from None
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError as error:
            raise CommandError(_told_by_database(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror or error}") from None
        self.stdout.write(_summary(imported))
        if rows.redated:
            self.stdout.write(f"{rows.redated} events were dated before their predecessors, and have their time now")


def _import(file: BinaryIO, rows: NestjsRows) -> Imported:
    lines = read_lines(file)
    first = _first(lines)
    try:
        header = read_header(first)
    except RefusedLine as refused:
        raise RefusedFile([Problem(line=1, problem=str(refused))]) from None
    entries: Iterable[Entry]
    if header:
        total = header.head - header.after_position
        entries = map(checked, read_entries(header, lines))
    else:
        total = None
        entries = rows.entries(chain([first], lines))
    with progress_bar(title="import", unit="lines", total=total) as on_batch:
        return import_log(header=header, entries=entries, on_batch=on_batch)


def _first(lines: Iterator[bytes]) -> bytes:
    try:
        first = next(lines, None)
    except RefusedLine as refused:
        raise RefusedFile([Problem(line=1, problem=str(refused))]) from None
    if first is None:
        raise RefusedFile([Problem(line=1, problem="there is none")])
    return first


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with open(file, "rb") as opened:
        yield opened


def _told(problems: Iterable[Problem]) -> str:
    return "\n".join(f"line {problem.line}: {problem.problem}" for problem in problems)


def _told_by_database(error: DatabaseError) -> str:
    if isinstance(error.__cause__, InsufficientPrivilege):
        return "nothing was imported: only the owner of the log may, the role that runs manage.py migrate"
    return f"nothing was imported: {' '.join(str(error).split())}"


def _summary(imported: Imported) -> str:
    known = f"{imported.known_events} events and {imported.known_commands} verdicts were in the log before"
    where = f"it ends at position {imported.head}"
    if not imported.new_events and not imported.new_commands:
        return f"nothing new: {known}; {where}"
    return f"{imported.new_events} events and {imported.new_commands} verdicts imported; {known}; {where}"
