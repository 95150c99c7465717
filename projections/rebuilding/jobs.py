"""Rebuilds that somebody asked for, done by whichever worker finds them; what a dead one has done is gone on with."""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from eventstore.records import JsonObject
from projections.engine import DATABASE_IS_AWAY
from projections.job_models import FAILED, RUNNING, SUCCEEDED, UNFINISHED, ProjectionJob
from projections.operations import record_act
from projections.parking import storable
from projections.projector import Projector
from projections.projectors import PROJECTORS
from projections.rebuilding.exceptions import RebuildStopped, RebuildUnderWay
from projections.rebuilding.rebuild import Phase, RebuildProgress, rebuild_projection

logger = logging.getLogger(__name__)

NOTE_EVERY_SECONDS = 1.0
MAX_ERROR_LENGTH = 1_000


def unfinished_job(*, projection: str = "") -> ProjectionJob | None:
    """Return the job to rebuild the projection, all if empty, that is not finished."""
    return ProjectionJob.objects.filter(projection=projection, state__in=UNFINISHED).first()


def request_rebuild(*, projection: str = "", reason: str | None, metadata: JsonObject) -> ProjectionJob:
    """Have a projection rebuilt, or all if it is empty, and return the job; the one under way if there is one.

    The act is recorded before it is done, with `metadata` on who it goes back to. Raises as `record_act` does.
    """
    while (job := unfinished_job(projection=projection)) is None:
        said = {"projection": projection or None, "reason": reason}
        record_act(
            event_type="RebuildRequested",
            data={name: value for name, value in said.items() if value is not None},
            metadata=metadata,
        )
        try:
            with transaction.atomic():
                return ProjectionJob.objects.create(
                    projection=projection, requested_by=metadata.get("actor"), reason=reason
                )
        except IntegrityError:
            # Somebody else was faster, and may even have been finished since.
            continue
    return job


def projections_of(*, job: ProjectionJob) -> list[Projector[Any]]:
    """Return what the job rebuilds, in order."""
    return [projector for projector in PROJECTORS if job.projection in ("", projector.name)]


def work_on_jobs(*, should_stop: Callable[[], bool]) -> None:
    """Do the jobs that nobody is at, the oldest first, until `should_stop()`.

    A job fails with what its rebuild fails with, but for an outage of the database: then the next call goes on.
    Raises StoreUnavailable and the errors of a database that is away.
    """
    for job in ProjectionJob.objects.filter(state__in=UNFINISHED).order_by("requested_at"):
        try:
            _work_on(job, should_stop)
        except RebuildUnderWay:
            # Another worker is at it, or an operator by hand: the job is done after that.
            continue
        except RebuildStopped:
            return
        except DATABASE_IS_AWAY:
            raise
        except Exception as error:
            logger.exception("job %s failed", job.pk)
            _finish(job, FAILED, error=storable(f"{type(error).__name__}: {error}")[:MAX_ERROR_LENGTH])


def _work_on(job: ProjectionJob, should_stop: Callable[[], bool]) -> None:
    for projector in projections_of(job=job):
        job.refresh_from_db()
        if projector.name not in job.projections_done and job.state in UNFINISHED:
            note = _Note(job)
            rebuild_projection(
                projector=projector,
                listener=note,
                should_stop=should_stop,
                also=lambda name=projector.name: _note_done(job, name),  # type: ignore[misc]
                patience_seconds=0,
            )
    _finish(job, SUCCEEDED)


class _Note:
    """Writes how far the rebuild is into the job, now and then."""

    def __init__(self, job: ProjectionJob) -> None:
        self._job = job
        self._phase: Phase | None = None
        self._next_note = 0.0
        self._began: tuple[float, int] | None = None

    def __call__(self, told: RebuildProgress) -> None:
        """Write it, if it is time to."""
        now = time.monotonic()
        self._began = self._began or (now, told.events_done)
        if told.phase == self._phase and now < self._next_note:
            return
        self._phase, self._next_note = told.phase, now + NOTE_EVERY_SECONDS
        facts: dict[str, Any] = {
            "current": told.projection,
            "phase": told.phase.value,
            "events_done": told.events_done,
            "events_total": told.events_total,
        }
        began, done_before = self._began
        if told.events_done > done_before and told.phase in (Phase.COPYING, Phase.INDEXING):
            facts["events_per_second"] = int((told.events_done - done_before) / max(now - began, 0.001))
        ProjectionJob.objects.filter(pk=self._job.pk, state__in=UNFINISHED).update(
            state=RUNNING, started_at=Coalesce("started_at", Now()), updated_at=Now(), **facts
        )


def _note_done(job: ProjectionJob, projection: str) -> None:
    """Note, with the swap, that it is done: a worker that goes on does not do it again."""
    stored = ProjectionJob.objects.select_for_update().get(pk=job.pk)
    if projection not in stored.projections_done:
        stored.projections_done.append(projection)
    stored.updated_at = timezone.now()
    stored.save(update_fields=["projections_done", "updated_at"])


def _finish(job: ProjectionJob, state: str, *, error: str | None = None) -> None:
    now = timezone.now()
    ProjectionJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
        state=state, error=error, finished_at=now, updated_at=now
    )
