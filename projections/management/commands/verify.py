"""manage.py verify: folds the log, and compares everything with it, to the unit."""

from argparse import ArgumentParser
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.repository import account_stream_id
from eventstore.progress_bar import progress_bar
from projections.engine import DATABASE_IS_AWAY
from projections.projectors import PROJECTORS
from projections.runner import on_one_line
from projections.verification.differences import Report
from projections.verification.run import Run

DIFFERS, NOT_VERIFIED = 1, 2


class Command(BaseCommand):
    """Prints what differs and what is parked; exits 0 if nothing differs (any more), 1 if something does, 2 if it could
    not be found out."""

    help = "Check the log by itself, and every read model, snapshot and list against it; exit 1 if anything differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what narrows it down, and what mends."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--account", metavar="ID", help="this account alone")
        which.add_argument("--stream", metavar="ID", help="this stream alone, such as transfer-7")
        parser.add_argument(
            "--repair", action="store_true", help="make anew from the log what is derived from it and differs"
        )
        parser.add_argument("--limit", type=int, default=100, help="how many differences to print (100)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify. Raises CommandError with the exit code."""
        if settings.IN_MEMORY:
            raise CommandError("verify needs PostgreSQL: an in-memory bank keeps nothing", returncode=NOT_VERIFIED)
        if options["limit"] < 0:
            raise CommandError("--limit must be 0 or more", returncode=NOT_VERIFIED)
        account_id, stream_id = options["account"], options["stream"]
        report = Report(limit=options["limit"])
        run = Run(projectors=PROJECTORS, report=report, repair=options["repair"], on_left=self._say_left)
        try:
            self._verify(run, account_stream_id(account_id) if account_id is not None else stream_id)
        except DATABASE_IS_AWAY as error:
            raise CommandError(f"the database is away: {on_one_line(error)}", returncode=NOT_VERIFIED) from error
        except KeyboardInterrupt:
            self._print(report)
            raise CommandError("stopped before it was done", returncode=NOT_VERIFIED) from None
        self._print(report)
        if report.remaining:
            raise CommandError(f"{_counted(report.remaining, 'difference')} to look at", returncode=DIFFERS)

    def _verify(self, run: Run, stream_id: str | None) -> None:
        if stream_id is None:
            with ExitStack() as bar:

                def begin(head: int) -> None:
                    shown = progress_bar(title="verify", unit="events", total=head, transient=True)
                    run.on_events = bar.enter_context(shown)

                run.on_head = begin
                run.verify_bank()
        elif not run.verify_stream(stream_id=stream_id):
            raise CommandError(f"nothing is kept of {stream_id}", returncode=NOT_VERIFIED)

    def _say_left(self, text: str) -> None:
        self.stderr.write(f"not mended: {text}")

    def _print(self, report: Report) -> None:
        for found in report.differences:
            self.stdout.write(str(found))
        if report.total > len(report.differences):
            self.stdout.write(f"… and {report.total - len(report.differences):,} more")
        for one in report.parked:
            how = "is being made anew, not compared" if one.is_being_rebuilt else f"waits at version {one.version}"
            self.stdout.write(f"parked: {one.stream_id}: {one.projection} {how}")
        self.stdout.write(_summary(report))


def _summary(report: Report) -> str:
    verified = f"{_counted(report.events, 'event')} in {_counted(report.streams, 'stream')}"
    by_check = ", ".join(f"{check} {count:,}" for check, count in sorted(report.counts.items()))
    found = f"{_counted(report.total, 'difference')} ({by_check})" if report.total else "no difference"
    mended = f", {report.mended:,} of them mended" if report.mended else ""
    parked = f"; {_counted(report.parked_streams, 'parked stream')}" if report.parked_streams else ""
    parked += f", {report.not_compared:,} of them not compared" if report.not_compared else ""
    return f"{verified}: {found}{mended}{parked}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
