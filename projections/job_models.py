"""Jobs of the read side: what was asked for, and how far it has come; the Celery task finds its work here."""

from uuid import uuid4

from django.db import models
from django.db.models import F, Q

QUEUED, RUNNING, SUCCEEDED, FAILED = JOB_STATES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED")
UNFINISHED = (QUEUED, RUNNING)


class ProjectionJob(models.Model):
    """The rebuilding of one projection, or of all if `projection` is empty; at most one of each is unfinished.

    `projections_done` are those of it that are swapped; `phase` and the events are those of the `current` one, with
    `events_total` what there was when it began. Nobody owns a job: whoever has the database session that rebuilds the
    current projection works on it, and when that session ends, however it does, another goes on from there.
    """

    job_id = models.UUIDField(primary_key=True, default=uuid4)
    projection = models.TextField(default="", blank=True)
    state = models.TextField(default=QUEUED, choices=[(state, state.capitalize()) for state in JOB_STATES])
    requested_by = models.TextField(null=True)
    reason = models.TextField(null=True)
    projections_done = models.JSONField(default=list)
    current = models.TextField(null=True)
    phase = models.TextField(null=True)
    events_done = models.BigIntegerField(default=0)
    events_total = models.BigIntegerField(default=0)
    events_per_second = models.BigIntegerField(null=True)
    error = models.TextField(null=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "projection_jobs"
        verbose_name = "job"
        verbose_name_plural = "jobs"
        indexes = (models.Index(fields=["-requested_at"], name="projection_jobs_requested"),)
        constraints = (
            models.UniqueConstraint(
                fields=["projection"], condition=Q(state__in=UNFINISHED), name="projection_jobs_unfinished_key"
            ),
            models.CheckConstraint(condition=Q(state__in=JOB_STATES), name="projection_jobs_state_check"),
            models.CheckConstraint(
                condition=Q(state__in=UNFINISHED, finished_at__isnull=True)
                | Q(~Q(state__in=UNFINISHED), finished_at__isnull=False),
                name="projection_jobs_finished_check",
            ),
            models.CheckConstraint(
                condition=Q(state=FAILED, error__isnull=False) | Q(~Q(state=FAILED), error__isnull=True),
                name="projection_jobs_error_check",
            ),
            models.CheckConstraint(
                condition=Q(events_done__gte=0, events_total__gte=F("events_done")), name="projection_jobs_events_check"
            ),
        )

    def __str__(self) -> str:
        return f"{self.projection or 'all projections'}, {self.state.lower()}"
