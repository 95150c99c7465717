"""The end of a rebuild: the shadow catches up with the log, and takes the place of the live read model.

Readers are blocked from when the swap begins to wait for the live table to when it is committed. So everything that can
be done before is done before, and the wait is cut short after WAIT_FOR_READERS_MS: behind one long read all new readers
would wait with it. Between two tries everybody gets on, the projection of the live table too.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from eventstore.store import event_store
from projections.engine import lock_checkpoint, project
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projector import Projector
from projections.rebuild_models import ProjectionRebuild
from projections.rebuilding.exceptions import RebuildStopped, SwapBlocked
from projections.rebuilding.shadows import enter_shadow, inside_shadow, leave_shadow, run
from projections.statements import statement

# With the commit that follows, and on a busy machine, readers wait for less than 50 ms.
WAIT_FOR_READERS_MS = 10
# Whoever vacuums a table gives way after a second.
WAIT_FOR_OTHERS_MS = 3_000
MAX_LAST_BATCHES = 5
MAX_PAUSE_SECONDS = 2.0


def catch_up(*, projector: Projector[Any], rebuild: ProjectionRebuild, until: int | None = None) -> bool:
    """Project the next batch of the log into the shadow, up to `until`; tell whether there is more."""
    with inside_shadow(projector=projector):
        return _project_batch(projector, rebuild, until)


def swap(
    *,
    projector: Projector[Any],
    rebuild: ProjectionRebuild,
    keep: bool,
    also: Callable[[], None],
    should_stop: Callable[[], bool],
) -> int:
    """Put the shadow, which has caught up, in the place of the live read model; return how many tries it took.

    `also` is called in the transaction that does it. Raises SwapBlocked after settings.REBUILD_SWAP_SECONDS,
    RebuildStopped and the database's errors.
    """
    give_up_at = time.monotonic() + settings.REBUILD_SWAP_SECONDS
    tries = 0
    while True:
        tries += 1
        try:
            if _swap_at_once(projector, rebuild, keep, also):
                return tries
            blockers = "events come faster than they are projected"
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            blockers = _blockers(projector)
        rebuild.refresh_from_db()
        if should_stop():
            raise RebuildStopped(f"the swap of {projector.name} was stopped; the next rebuild goes on from there")
        if time.monotonic() >= give_up_at:
            raise SwapBlocked(
                f"{projector.name} was not swapped, in {tries} tries: {blockers}. The shadow is complete "
                "and stays; run the rebuild again to swap it"
            )
        time.sleep(min(0.05 * 2 ** min(tries, 10), MAX_PAUSE_SECONDS) * (0.5 + random.random()))  # noqa: S311
        while catch_up(projector=projector, rebuild=rebuild) and time.monotonic() < give_up_at:
            pass


def _swap_at_once(projector: Projector[Any], rebuild: ProjectionRebuild, keep: bool, also: Callable[[], None]) -> bool:
    """Swap, unless there is too much to be caught up with, while the live projection waits."""
    with transaction.atomic(durable=True):
        _wait_for_locks(WAIT_FOR_OTHERS_MS)
        # A verification reads for seconds on end. It is waited for here, where nobody else waits with it.
        with connection.cursor() as cursor:
            cursor.execute(statement("hold_verifications"))
        run("hold_read_model", projection=projector.name)
        enter_shadow(projector=projector)
        lock_checkpoint(projector=projector, skip_locked=False)
        if not _project_the_last(projector, rebuild):
            return False
        parked = list(ProjectionFailure.objects.filter(projection=projector.name))
        leave_shadow()
        _replace_parked(projector, parked)
        # The head, or a batch short of it: a checkpoint beyond that was damage. The heartbeat is that of workers alone.
        ProjectionCheckpoint.objects.filter(projection=projector.name).update(
            position=rebuild.position, updated_at=timezone.now()
        )
        ProjectionRebuild.objects.filter(projection=projector.name).delete()
        also()
        _wait_for_locks(WAIT_FOR_READERS_MS)
        run("swap_shadow", projection=projector.name, keep=keep)
    return True


def _project_the_last(projector: Projector[Any], rebuild: ProjectionRebuild) -> bool:
    return any(not _project_batch(projector, rebuild, None) for _ in range(MAX_LAST_BATCHES))


def _project_batch(projector: Projector[Any], rebuild: ProjectionRebuild, until: int | None) -> bool:
    begin = rebuild.position
    last = event_store().head_position() if until is None else until
    end: int = min(last, begin + settings.PROJECTION_BATCH_EVENTS)
    if end > begin:
        events = event_store().read_all(
            after_position=begin, up_to_position=end, limit=end - begin, stream_prefix=projector.stream_prefix
        )
        project(projector=projector, events=events, savepoints=True)
        rebuild.position = end
        rebuild.save(force_update=True)
    return end < last


def _replace_parked(projector: Projector[Any], parked: list[ProjectionFailure]) -> None:
    """Let those streams be parked that the rebuild has parked, and no others: their rows are new."""
    live = ProjectionFailure.objects.filter(projection=projector.name)
    earlier = {failure.stream_id: failure for failure in live}
    live.delete()
    for failure in parked:
        failure.pk = None
        if before := earlier.get(failure.stream_id):
            failure.attempts += before.attempts
            failure.first_failed_at = before.first_failed_at
    ProjectionFailure.objects.bulk_create(parked)


def _wait_for_locks(milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])


def _blockers(projector: Projector[Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(statement("blockers_of_swap"), {"table": f"public.{projector.model._meta.db_table}"})
        found = [f"process {pid} ({name or 'unnamed'}), for {seconds} s" for pid, name, seconds in cursor.fetchall()]
    return f"in the way is {', '.join(found)}" if found else "the table or its checkpoint was never free"
