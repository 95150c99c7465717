"""The Celery tasks of the event store."""

import logging
from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection

from eventstore.exceptions import StoreUnavailable
from eventstore.store import event_store

logger = logging.getLogger(__name__)

BATCH_REFUSALS = 1_000
MAX_BATCHES = 100


@shared_task(name="eventstore.forget_refusals", ignore_result=True)
def forget_refusals() -> None:
    """Forget refusals that are older than settings.REFUSALS_KEPT_DAYS; what is too much for one run, the next takes."""
    recorded_before = datetime.now(UTC) - timedelta(days=settings.REFUSALS_KEPT_DAYS)
    try:
        for _ in range(MAX_BATCHES):
            if event_store().forget_refusals(recorded_before=recorded_before, limit=BATCH_REFUSALS) < BATCH_REFUSALS:
                break
    except StoreUnavailable as error:
        logger.warning("old refusals wait for the store: %s", error)
    finally:
        # Workers fork, and databases go away: no task begins with a connection of another time.
        connection.close()
