"""manage.py run_projections: keeps the read models up to date without Celery."""

import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from projections.runner import catch_up, run_forever


class Command(BaseCommand):
    """Runs the engine in this process until SIGTERM or SIGINT, which let the batch at hand finish."""

    help = "Project new events into the read models until stopped; more than one such process does no harm."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --once."""
        parser.add_argument("--once", action="store_true", help="end when all that is in the log now is projected")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        if options["once"]:
            catch_up()
            return
        stop = Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, lambda *_: stop.set())
        run_forever(stop=stop)
