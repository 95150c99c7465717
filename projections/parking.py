"""How a stream is parked, and when its projection is tried again."""

import logging
import random
import traceback
from collections.abc import Collection
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from eventstore.records import RecordedEvent
from projections.models import ProjectionFailure
from projections.statements import rows_of, statement

logger = logging.getLogger(__name__)

MAX_ERROR_LENGTH = 1_000
MAX_TRACEBACK_LENGTH = 10_000
MAX_DELAY = timedelta(hours=1)


def parked(*, projection: str, stream_ids: Collection[str]) -> list[str]:
    """Return those of the streams that the projection has put aside."""
    # Mostly there are none, and all these ids need not be looked for.
    if connection.vendor == "postgresql" and not _has_parked(projection):
        return []
    failures = ProjectionFailure.objects.filter(projection=projection, stream_id__in=list(stream_ids))
    return list(failures.values_list("stream_id", flat=True))


def _has_parked(projection: str) -> bool:
    [[has_parked]] = rows_of(sql=statement("has_parked"), parameters={"projection": projection})
    return bool(has_parked)


def park(*, projection: str, event: RecordedEvent, error: Exception) -> None:
    """Put the event's stream aside until it is tried again: each time after twice as long, up to an hour or two.

    Called under the checkpoint's lock, in the transaction that leaves the event out.
    """
    line = "%s: stream %s is parked at version %d: %r"
    told = partial(logger.error, line, projection, event.stream_id, event.version, error, exc_info=error)
    # What the transaction does may yet be undone, and be done again.
    transaction.on_commit(told)
    now = timezone.now()
    earlier = ProjectionFailure.objects.filter(projection=projection, stream_id=event.stream_id).first()
    facts = {
        "version": event.version,
        "position": event.position,
        "event_id": event.event_id,
        "error": storable(f"{type(error).__name__}: {error}")[:MAX_ERROR_LENGTH],
        "traceback": storable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_LENGTH:],
        "last_failed_at": now,
        "next_attempt_at": now + _delay(earlier.attempts if earlier else 0),
        "rows_are_suspect": False,
    }
    ProjectionFailure.objects.update_or_create(
        projection=projection,
        stream_id=event.stream_id,
        defaults={**facts, "attempts": F("attempts") + 1},
        create_defaults={**facts, "first_failed_at": now},
    )


def suspect(*, projection: str, event: RecordedEvent) -> None:
    """Put a stream aside, under the checkpoint's lock, until it is projected anew from `event`, its first one."""
    now = timezone.now()
    facts = {
        "version": event.version,
        "position": event.position,
        "event_id": event.event_id,
        "error": "It is being projected anew, from its first event; until that is done it has the rows of before.",
        "traceback": "",
        "last_failed_at": now,
        "next_attempt_at": now,
        "rows_are_suspect": True,
    }
    ProjectionFailure.objects.update_or_create(
        projection=projection,
        stream_id=event.stream_id,
        defaults=facts,
        create_defaults={**facts, "first_failed_at": now},
    )


def postpone(*, failure: ProjectionFailure, error: Exception) -> None:
    """Note that not even an attempt could be made, and when the next one is due."""
    ProjectionFailure.objects.filter(pk=failure.pk).update(
        error=storable(f"{type(error).__name__}: {error}")[:MAX_ERROR_LENGTH],
        traceback=storable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_LENGTH:],
        attempts=F("attempts") + 1,
        last_failed_at=timezone.now(),
        next_attempt_at=timezone.now() + _delay(failure.attempts),
    )


def make_due(*, failure: ProjectionFailure) -> None:
    """Have a stream tried again as soon as a runner comes to it."""
    ProjectionFailure.objects.filter(pk=failure.pk).update(next_attempt_at=timezone.now())


def storable(text: str) -> str:
    """Return `text` as PostgreSQL can keep it: what an error says may hold anything, NUL and lone surrogates too."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _delay(attempts: int) -> timedelta:
    """Return how long to wait after so many earlier attempts; never twice the same, so that streams spread out."""
    # Past the cap the power would only grow.
    doubled = settings.PROJECTION_RETRY_SECONDS * 2 ** min(attempts, 20)
    jitter = 1 + random.random()  # noqa: S311
    return min(timedelta(seconds=doubled), MAX_DELAY) * jitter
