"""How far the projections are behind the log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from eventstore.store import EventStore, event_store
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS

Status: TypeAlias = Literal["ok", "parked", "lagging", "stopped", "ahead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionLag:
    """One projection: its checkpoint, the head of the log, the events between them, and the streams it has parked.

    `lag_seconds` is the age of the first event after the checkpoint, 0 if there is none; `heartbeat_age_seconds` the
    time since a runner last looked after the projection, None if none ever did.
    """

    projection: str
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    heartbeat_age_seconds: float | None
    parked_streams: int

    @property
    def status(self) -> Status:
        """What /health/ready and the back office call it.

        Without new events there is no lag, however long the worker has been dead: only its heartbeat tells.
        """
        if self.lag_events < 0:
            # New events up to there would be passed over: the log was cut short, or the checkpoint is damaged.
            return "ahead"
        if self.heartbeat_age_seconds is None or self.heartbeat_age_seconds > settings.READY_MAX_AGE_SECONDS:
            return "stopped"
        if self.lag_events > settings.READY_MAX_LAG_EVENTS or self.lag_seconds > settings.READY_MAX_AGE_SECONDS:
            return "lagging"
        return "parked" if self.parked_streams else "ok"


def projection_lags() -> list[ProjectionLag]:
    """Return where each projection stands; one that never ran stands at 0. Raises StoreUnavailable."""
    checkpoints = ProjectionCheckpoint.objects.in_bulk()
    failures = ProjectionFailure.objects.values_list("projection")
    parked: dict[str, int] = dict(failures.annotate(streams=Count("id")))
    store = event_store()
    # Read last: a checkpoint is never ahead of it.
    head = store.head_position()
    now = timezone.now()
    lags = []
    for name in (projector.name for projector in PROJECTORS):
        checkpoint = checkpoints.get(name) or ProjectionCheckpoint(projection=name)
        lags.append(
            ProjectionLag(
                projection=name,
                position=checkpoint.position,
                head=head,
                lag_events=head - checkpoint.position,
                lag_seconds=_waiting_seconds(store, checkpoint.position, now) if head > checkpoint.position else 0.0,
                heartbeat_age_seconds=_seconds_between(checkpoint.heartbeat_at, now)
                if checkpoint.heartbeat_at
                else None,
                parked_streams=parked.get(name, 0),
            )
        )
    return lags


def _waiting_seconds(store: EventStore, position: int, now: datetime) -> float:
    [first] = store.read_all(after_position=position, limit=1)
    return _seconds_between(first.recorded_at, now)


def _seconds_between(earlier: datetime, now: datetime) -> float:
    # The database and this process may differ on what time it is.
    return max((now - earlier).total_seconds(), 0.0)
