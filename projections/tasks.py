"""The Celery tasks of the read side; beat ticks, and each tick is worth one time slice."""

import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import connection

from projections.engine import DATABASE_IS_AWAY
from projections.projectors import PROJECTORS
from projections.rebuilding.jobs import work_on_jobs
from projections.runner import REBUILD_SECONDS, advance_all, log_interruption, on_one_line, rebuild_all_suspects
from projections.verification.cycle import verify_next_slice

logger = logging.getLogger(__name__)

_shutting_down = False


@worker_shutting_down.connect
def end_slice(**_: Any) -> None:
    """Let the slice that runs in this process end after its batch."""
    global _shutting_down
    _shutting_down = True


@shared_task(name="projections.advance", ignore_result=True)
def advance_projections() -> None:
    """Advance all projections for one slice; whatever it cannot do, the next tick tries."""
    try:
        advance_all(slice_seconds=settings.PROJECTION_SLICE_SECONDS, should_stop=lambda: _shutting_down)
    except Exception as error:
        log_interruption(error)
    finally:
        # Databases go away: no slice begins with a connection of another time.
        connection.close()


@shared_task(name="projections.work_on_jobs", ignore_result=True)
def work_on_projection_jobs() -> None:
    """Rebuild what somebody asked for, unless another worker is at it; it takes as long as it does."""
    try:
        work_on_jobs(should_stop=lambda: _shutting_down)
    except Exception as error:
        log_interruption(error)
    finally:
        connection.close()


@shared_task(name="projections.rebuild_suspects", ignore_result=True)
def rebuild_suspects() -> None:
    """Rebuild long streams that operators asked for, or that a dead process left; it takes as long as they do."""
    rebuild_all_suspects(slice_seconds=REBUILD_SECONDS)


@shared_task(name="projections.verify", ignore_result=True)
def verify() -> None:
    """Verify the next slice of the books; where the last one stopped is in the database."""
    try:
        verify_next_slice(projectors=PROJECTORS)
    except DATABASE_IS_AWAY as error:
        logger.warning("the verification waits for the database: %s", on_one_line(error))
    except Exception:
        logger.exception("the verification was interrupted")
    finally:
        connection.close()
