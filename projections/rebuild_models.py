"""How far the rebuilding of a projection has come: kept with the rows it made, so that it can be gone on with."""

from django.db import models
from django.db.models import Q

COPYING = "COPYING"
CATCHING_UP = "CATCHING_UP"


class ProjectionRebuild(models.Model):
    """A shadow of a read model that is being filled, by the code of `release`.

    While COPYING, its parts are filled, from the events up to `until_position`. After that the shadow is CATCHING_UP
    from `position` on, as a projection does. `events_total` are those up to `until_position` that the projection reads.
    """

    projection = models.TextField(primary_key=True)
    release = models.TextField()
    phase = models.TextField(default=COPYING)
    until_position = models.BigIntegerField()
    position = models.BigIntegerField(default=0)
    events_total = models.BigIntegerField()
    started_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "projection_rebuilds"
        verbose_name = "rebuild"
        verbose_name_plural = "rebuilds"
        constraints = (
            models.CheckConstraint(
                condition=Q(phase__in=(COPYING, CATCHING_UP)), name="projection_rebuilds_phase_check"
            ),
            models.CheckConstraint(
                condition=Q(until_position__gte=0, position__gte=0), name="projection_rebuilds_position_check"
            ),
        )

    def __str__(self) -> str:
        return self.projection


class RebuildPart(models.Model):
    """The streams of a rebuild whose ids are below `before`, and not below those of the part before.

    They are read one after the other. `stream_id` at `stream_version` is the last event that is in the shadow, or the
    first stream at version 0. What is done of a part is committed with its rows.
    """

    rebuild = models.ForeignKey(ProjectionRebuild, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    stream_id = models.TextField(blank=True)
    stream_version = models.BigIntegerField(default=0)
    before = models.TextField()
    events_done = models.BigIntegerField(default=0)
    is_done = models.BooleanField(default=False)

    class Meta:
        db_table = "projection_rebuild_parts"
        constraints = (
            models.UniqueConstraint(fields=["rebuild", "number"], name="projection_rebuild_parts_key"),
            models.CheckConstraint(
                condition=Q(stream_version__gte=0, events_done__gte=0), name="projection_rebuild_parts_check"
            ),
        )

    def __str__(self) -> str:
        return f"{self.rebuild_id} {self.number}"
