"""How far the projections are behind the log."""

from dataclasses import dataclass

from django.db.models import Count

from eventstore.store import event_store
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionLag:
    """One projection: its checkpoint, the head of the log, the events between them, and the streams it has parked."""

    projection: str
    position: int
    head: int
    lag_events: int
    parked_streams: int


def projection_lags() -> list[ProjectionLag]:
    """Return where each projection stands; one that never ran stands at 0. Raises StoreUnavailable."""
    positions = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
    failures = ProjectionFailure.objects.values_list("projection")
    parked: dict[str, int] = dict(failures.annotate(streams=Count("id")))
    # Read last: a checkpoint is never ahead of it.
    head = event_store().head_position()
    return [
        ProjectionLag(
            projection=projector.name,
            position=positions.get(projector.name, 0),
            head=head,
            lag_events=head - positions.get(projector.name, 0),
            parked_streams=parked.get(projector.name, 0),
        )
        for projector in PROJECTORS
    ]
