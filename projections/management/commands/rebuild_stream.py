"""`manage.py rebuild_stream ID REASON`: projects one stream anew, from its first event, while the bank goes on."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from projections.engine import DATABASE_IS_AWAY
from projections.repair import is_known, rebuild_to_the_end
from projections.runner import on_one_line
from transfers.management.arguments import operators_name, reason


class Command(BaseCommand):
    """Records who has it done and why, rebuilds the stream in each of its read models, and says how it stands then."""

    help = "Project one stream anew in all of its read models; the exit code is 1 if it is parked then."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the stream's id, and the reason."""
        parser.add_argument("stream_id", help="such as account-acc-1 or transfer-trf-1")
        parser.add_argument("reason", type=reason, help="kept in the log of the operators' acts")

    def handle(self, *args: Any, stream_id: str, **options: Any) -> None:
        """Rebuild, and print a line for each read model. Raises CommandError if it is unknown, or parked then."""
        if settings.IN_MEMORY:
            raise CommandError("rebuild_stream needs PostgreSQL: an in-memory bank lives in one process", returncode=2)
        try:
            if not is_known(stream_id=stream_id):
                raise CommandError(f"There is no stream {stream_id!r}.")
            standings = rebuild_to_the_end(
                stream_id=stream_id, reason=options["reason"], metadata={"actor": operators_name()}
            )
        except DATABASE_IS_AWAY as error:
            raise CommandError(
                f"the database is away, or others have the stream in hand: {on_one_line(error)}"
            ) from error
        for standing in standings:
            parked = f", parked: {on_one_line(standing.error)}" if standing.error else ""
            self.stdout.write(f"{standing.projection}: at version {standing.version}{parked}")
        if any(standing.error for standing in standings):
            raise CommandError(f"{stream_id} is parked.")
