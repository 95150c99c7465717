"""`manage.py retry_streams REASON`: goes on with parked streams whose cause is mended."""

import math
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone

from projections.engine import DATABASE_IS_AWAY
from projections.models import ProjectionFailure
from projections.projectors import PROJECTORS
from projections.repair import projector_named, retry_parked
from projections.runner import on_one_line
from transfers.management.arguments import operators_name, reason


class Command(BaseCommand):
    """Records who retries what and why, goes on with each stream to the end, and says how it stands then."""

    help = "Go on with parked streams, and say how they stand then; the exit code is 1 if one is still parked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the reason, and which streams."""
        parser.add_argument("reason", type=reason, help="kept in the log of the operators' acts")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--stream", metavar="ID", help="this one, such as account-acc-1")
        which.add_argument("--due", action="store_true", help="those that a runner would take up now")
        which.add_argument("--all", action="store_true", help="every one that is parked")
        parser.add_argument("--projection", choices=[one.name for one in PROJECTORS], help="in this projection alone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Retry, and print a line for each stream. Raises CommandError if one is still parked, or none was."""
        if settings.IN_MEMORY:
            raise CommandError("retry_streams needs PostgreSQL: an in-memory bank lives in one process", returncode=2)
        try:
            failures = list(_selected(options))
            if not failures:
                raise CommandError("No such stream is parked.")
            still_parked = [failure for failure in failures if not self._is_mended(failure, options["reason"])]
        except DATABASE_IS_AWAY as error:
            raise CommandError(
                f"the database is away, or others have the stream in hand: {on_one_line(error)}"
            ) from error
        if still_parked:
            raise CommandError(f"{len(still_parked)} of {len(failures)} are still parked.")

    def _is_mended(self, failure: ProjectionFailure, reason: str) -> bool:
        """Go on with one stream, say how it stands, and tell whether it is parked no more."""
        projector = projector_named(name=failure.projection)
        if projector is None:
            self.stdout.write(f"{failure}: there is no such projection any more")
            return False
        standing = retry_parked(
            projector=projector,
            stream_id=failure.stream_id,
            reason=reason,
            metadata={"actor": operators_name()},
            for_seconds=math.inf,
        )
        if standing is None or standing.error is None:
            self.stdout.write(f"{failure}: mended" + (f", at version {standing.version}" if standing else ""))
            return True
        self.stdout.write(f"{failure}: parked after version {standing.version}: {on_one_line(standing.error)}")
        return False


def _selected(options: dict[str, Any]) -> QuerySet[ProjectionFailure]:
    failures = ProjectionFailure.objects.order_by("projection", "stream_id")
    if options["projection"]:
        failures = failures.filter(projection=options["projection"])
    if options["stream"] is not None:
        # Whatever was typed; NUL is nothing that could be looked for.
        return failures.filter(stream_id=options["stream"].replace("\0", " "))
    return failures if options["all"] else failures.filter(next_attempt_at__lte=timezone.now())
