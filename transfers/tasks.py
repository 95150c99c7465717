"""The Celery task of transfers: beat ticks, and each tick takes up those that have stopped."""

import logging
import time
from threading import Event

from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from eventstore.exceptions import StoreUnavailable
from transfers.handlers import take_up_transfer
from transfers.in_flight import due_transfers

logger = logging.getLogger(__name__)

BATCH_TRANSFERS = 100
DATABASE_IS_AWAY = (StoreUnavailable, OperationalError, InterfaceError)


@shared_task(name="transfers.resume", ignore_result=True)
def resume_stopped_transfers() -> None:
    """Take up every transfer that is due, for one slice at most; whatever is left, the next tick finds."""
    try:
        resume_due(slice_seconds=settings.TRANSFER_SLICE_SECONDS)
    except DATABASE_IS_AWAY as error:
        logger.warning("stopped transfers wait for the database: %s", " ".join(str(error).split()))
    finally:
        # Workers fork, and databases go away: no slice begins with a connection of another time.
        connection.close()


def resume_due(*, slice_seconds: float) -> None:
    """Take up the transfers that are due now, each once, one after another, until the slice is over.

    One that cannot be taken up is logged and keeps none of the others waiting: even if not so much as the attempt could
    be recorded, so that it stays the longest due. Raises StoreUnavailable and the database's errors while that is away.
    """
    slice_end = time.monotonic() + slice_seconds
    tried: set[str] = set()
    while untried := [one for one in due_transfers(limit=BATCH_TRANSFERS + len(tried)) if one not in tried]:
        for transfer_id in untried:
            if time.monotonic() > slice_end:
                return
            tried.add(transfer_id)
            _take_up(transfer_id)


def _take_up(transfer_id: str) -> None:
    try:
        take_up_transfer(transfer_id=transfer_id)
    except DATABASE_IS_AWAY:
        raise
    except Exception:
        logger.exception("transfer %s could not be taken up", transfer_id)


def resume_forever(*, stop: Event) -> None:
    """Do without beat, in a thread: take up what has stopped, tick after tick, until `stop` is set."""
    while not stop.wait(settings.TRANSFER_TICK_SECONDS):
        try:
            resume_stopped_transfers()
        except Exception:
            logger.exception("taking up stopped transfers was interrupted")
