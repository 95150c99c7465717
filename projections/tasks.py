"""The Celery tasks of the read side; beat ticks, and each tick is worth one time slice."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import connection

from projections.runner import REBUILD_SECONDS, advance_all, log_interruption, rebuild_all_suspects

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
        # Workers fork, and databases go away: no slice begins with a connection of another time.
        connection.close()


@shared_task(name="projections.rebuild_suspects", ignore_result=True)
def rebuild_suspects() -> None:
    """Rebuild long streams that operators asked for, or that a dead process left; it takes as long as they do."""
    rebuild_all_suspects(slice_seconds=REBUILD_SECONDS)
