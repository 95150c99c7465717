"""manage.py run_projections: keeps the read models up to date without Celery."""

import signal
from argparse import ArgumentParser
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from projections.garbage import spare_the_program
from projections.lag import projection_lags
from projections.runner import DATABASE_IS_AWAY, catch_up, on_one_line, rebuild_suspects_forever, run_forever


class Command(BaseCommand):
    """Runs the engine in this process until SIGTERM or SIGINT, which let the batch at hand finish."""

    help = "Project new events into the read models until stopped; more than one such process does no harm."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --once."""
        parser.add_argument("--once", action="store_true", help="end when all that is in the log now is projected")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        if settings.EVENT_STORE_KIND != "postgres":
            raise CommandError("run_projections needs PostgreSQL: an in-memory bank projects by itself", returncode=2)
        spare_the_program()
        if options["once"]:
            self._catch_up()
            return
        stop = Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, lambda *_: stop.set())
        # One that is under way when the process ends is rolled back, and done by the next.
        Thread(target=rebuild_suspects_forever, kwargs={"stop": stop}, daemon=True).start()
        run_forever(stop=stop)

    def _catch_up(self) -> None:
        try:
            catch_up()
            lags = projection_lags()
        except DATABASE_IS_AWAY as error:
            raise CommandError(f"the database is away: {on_one_line(error)}") from error
        for lag in lags:
            self.stdout.write(f"{lag.projection}: at position {lag.position}, {lag.parked_streams} streams parked")
