"""`manage.py export_events FILE|-`: writes the log to a file that `import_events` reads."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventstore.archive.export import AfterTheHead, Exported, MissingEvent, export_log
from eventstore.progress_bar import progress_bar

STDOUT = "-"


class Command(BaseCommand):
    """Writes the events and the verdicts on keyed commands as lines of JSON. Nothing is locked, the bank works on."""

    help = "Write the log, and the verdicts on keyed commands, as lines of JSON that import_events reads."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file's name, and where to begin."""
        parser.add_argument("file", help="what to write, all at once when it is done; - for standard output")
        parser.add_argument(
            "--after", type=int, default=0, metavar="POSITION", help="leave out the events up to this position"
        )

    def handle(self, *args: Any, file: str, after: int, **options: Any) -> None:
        """Export, and say on standard error how much it was."""
        if settings.IN_MEMORY:
            raise CommandError("export_events needs PostgreSQL: an in-memory bank keeps nothing", returncode=2)
        if after < 0:
            raise CommandError("--after must not be below 0")
        try:
            with _standard_output() if file == STDOUT else new_file(Path(file)) as out:
                exported = _export(out, after)
        except AfterTheHead as error:
            raise CommandError(f"the log ends at position {error.head}: nothing was written") from None
        except MissingEvent as error:
            raise CommandError(f"the log is damaged: there is no event at position {error.position}") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror or error}") from None
        sys.stderr.write(
            f"{exported.events} events and {exported.commands} verdicts exported; the log is at position "
            f"{exported.head}\n"
        )


def _export(file: BinaryIO, after_position: int) -> Exported:
    with ExitStack() as stack:
        bar: list[Callable[[int], None]] = []

        def begin(events: int) -> None:
            bar.append(stack.enter_context(progress_bar(title="export", unit="events", total=events)))

        return export_log(
            file=file, after_position=after_position, on_begin=begin, on_page=lambda events: bar[0](events)
        )


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would try to write the rest when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file that is put in its place, in one step and on the disk, when the block ends well, and else is gone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
