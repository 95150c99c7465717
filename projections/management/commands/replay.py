"""manage.py replay: builds read models again from the first event, while the bank goes on."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from projections.engine import DATABASE_IS_AWAY
from projections.garbage import spare_the_program
from projections.projector import Projector
from projections.projectors import PROJECTORS
from projections.rebuilding.comparison import Comparison
from projections.rebuilding.exceptions import RebuildError
from projections.rebuilding.progress_bar import shown_progress
from projections.rebuilding.rebuild import compare_projection, rebuild_projection
from projections.runner import on_one_line

INTERRUPTED = 130


class Command(BaseCommand):
    """Rebuilds one projection, or one after the other; each is swapped in as soon as it is complete."""

    help = (
        "Build read models again from the first event of the log, and swap them in. Reads and writes go on meanwhile. "
        "What was interrupted is gone on with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the projection, --keep and --dry-run."""
        names = [projector.name for projector in PROJECTORS]
        parser.add_argument("projection", nargs="?", metavar="projection", help=f"all if none: {', '.join(names)}")
        acts = parser.add_mutually_exclusive_group()
        acts.add_argument("--keep", action="store_true", help="keep the table of before, in the schema `replaced`")
        acts.add_argument(
            "--dry-run", action="store_true", help="tell what would be different, and change nothing; 1 if anything"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild."""
        if settings.EVENT_STORE_KIND != "postgres":
            raise CommandError("replay needs PostgreSQL: an in-memory bank keeps nothing to replay", returncode=2)
        projectors = _chosen(options["projection"])
        spare_the_program()
        try:
            if options["dry_run"]:
                self._compare(projectors)
            else:
                self._rebuild(projectors, keep=options["keep"])
        except (KeyboardInterrupt, Exception) as error:
            if _began_with_an_interruption(error):
                self.stderr.write("Stopped. Nothing is lost: run it again to go on from there.")
                sys.exit(INTERRUPTED)
            if isinstance(error, DATABASE_IS_AWAY):
                raise CommandError(f"the database is away, or refuses: {on_one_line(error)}") from error
            if isinstance(error, RebuildError):
                raise CommandError(on_one_line(error)) from error
            raise

    def _rebuild(self, projectors: tuple[Projector[Any], ...], *, keep: bool) -> None:
        for projector in projectors:
            with shown_progress(stream=self.stdout) as listener:
                rebuilt = rebuild_projection(projector=projector, listener=listener, keep=keep)
            where = f"; the table of before is replaced.{projector.model._meta.db_table}" if keep else ""
            self.stdout.write(
                f"{rebuilt.projection}: rebuilt from {rebuilt.events} events, "
                f"{rebuilt.parked_streams} streams parked{where}"
            )

    def _compare(self, projectors: tuple[Projector[Any], ...]) -> None:
        found = []
        for projector in projectors:
            with shown_progress(stream=self.stdout) as listener:
                found.append(compare_projection(projector=projector, listener=listener))
            self._print(found[-1])
        if not all(comparison.is_equal for comparison in found):
            sys.exit(1)

    def _print(self, comparison: Comparison) -> None:
        self.stdout.write(
            f"{comparison.projection} at position {comparison.position}: {comparison.missing} rows are missing, "
            f"{comparison.surplus} should not be there, {comparison.different} would be different; "
            f"{comparison.parked_now} streams are parked, {comparison.parked_then} would be"
        )
        for row in comparison.examples:
            self.stdout.write(f"  {row.key}: {_told(row.now)} would be {_told(row.would_be)}")


def _chosen(name: str | None) -> tuple[Projector[Any], ...]:
    if name is None:
        return PROJECTORS
    chosen = tuple(projector for projector in PROJECTORS if projector.name == name)
    if not chosen:
        raise CommandError(f"there is no projection {name!r}; there are {', '.join(p.name for p in PROJECTORS)}")
    return chosen


def _told(row: dict[str, Any] | None) -> str:
    return "no row" if row is None else ", ".join(f"{column}={value!r}" for column, value in row.items())


def _began_with_an_interruption(error: BaseException | None) -> bool:
    """Tell whether the user stopped it: amid a statement, its connection may raise another error while it is left."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
