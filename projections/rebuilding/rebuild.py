"""A rebuild from beginning to end: a shadow is made or gone on with, filled, indexed, caught up, and swapped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, transaction

from eventstore.store import event_store
from projections.models import ProjectionFailure
from projections.projector import Projector
from projections.rebuild_models import CATCHING_UP, COPYING, ProjectionRebuild
from projections.rebuilding.comparison import Comparison, compare, live_position
from projections.rebuilding.exceptions import RebuildStopped, ShadowOutdated
from projections.rebuilding.parts import cut_into_parts, end_of, events_done, fill_parts
from projections.rebuilding.release import release
from projections.rebuilding.session import PATIENCE_SECONDS, rebuilding_session
from projections.rebuilding.shadows import drop_shadow, has_shadow, inside_shadow, make_shadow, run
from projections.rebuilding.swapping import catch_up, swap

OUTDATED = "BK103"
"""The SQLSTATE of a shadow that is no longer like its live table."""


class Phase(StrEnum):
    """What a rebuild is at."""

    COPYING = "copying"
    INDEXING = "making indexes"
    CATCHING_UP = "catching up"
    SWAPPING = "swapping"
    COMPARING = "comparing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildProgress:
    """How far a rebuild is: events of the log in the shadow, of those that there were when it began."""

    projection: str
    phase: Phase
    events_done: int
    events_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A read model that was swapped: events projected before it caught up, streams parked now, tries of the swap."""

    projection: str
    events: int
    parked_streams: int
    tries: int


Listener = Callable[[RebuildProgress], None]


def rebuild_projection(
    *,
    projector: Projector[Any],
    listener: Listener = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    keep: bool = False,
    also: Callable[[], None] = lambda: None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Rebuilt:
    """Build the projection's read model again from the first event, while reads and writes go on, and swap it in.

    It goes on with what an interrupted rebuild has done. `keep` leaves the table of before in the schema `replaced`.
    `also` is called in the transaction that swaps. Another rebuild of the projection is waited for, for some seconds.
    This thread's connection is closed in the end.
    Raises RebuildError, StoreUnavailable and the database's errors.
    """
    session = rebuilding_session(projector=projector, patience_seconds=patience_seconds)
    with session, _outdated_shadow_given_up(projector):
        filling = _Filling(projector, listener, should_stop)
        rebuild = filling.fill()
        filling.tell(Phase.SWAPPING)
        tries = swap(projector=projector, rebuild=rebuild, keep=keep, also=also, should_stop=should_stop)
        return Rebuilt(
            projection=projector.name,
            events=filling.events_done,
            parked_streams=ProjectionFailure.objects.filter(projection=projector.name).count(),
            tries=tries,
        )


def compare_projection(
    *, projector: Projector[Any], listener: Listener = lambda _: None, should_stop: Callable[[], bool] = lambda: False
) -> Comparison:
    """Build the projection's read model again, and tell what would be different; nothing is swapped, nothing stays.

    Raises as `rebuild_projection` does.
    """
    with rebuilding_session(projector=projector), _outdated_shadow_given_up(projector):
        # Beyond the live read model there would be nothing to compare it with.
        filling = _Filling(projector, listener, should_stop, until=live_position(projector=projector))
        rebuild = filling.fill()
        filling.tell(Phase.COMPARING)
        found = compare(projector=projector, rebuild=rebuild)
        with transaction.atomic(durable=True):
            rebuild.delete()
            drop_shadow(projector=projector)
        return found


class _Filling:
    """Fills a shadow up to the head of the log, and tells how far it is."""

    def __init__(
        self,
        projector: Projector[Any],
        listener: Listener,
        should_stop: Callable[[], bool],
        *,
        until: int | None = None,
    ) -> None:
        self._projector = projector
        self._listener = listener
        self._should_stop = should_stop
        self._until = until
        self._rebuild = _gone_on_with(projector, until) or _begun(projector, until)
        self._events_done = events_done(rebuild=self._rebuild)

    @property
    def events_done(self) -> int:
        """How many events were copied, by this process or an earlier one."""
        return self._events_done

    def fill(self) -> ProjectionRebuild:
        """Fill it."""
        if self._rebuild.phase == COPYING:
            fill_parts(projector=self._projector, rebuild=self._rebuild, goes_on=lambda: self._goes_on(Phase.COPYING))
            self._index()
        while self._goes_on(Phase.CATCHING_UP) and catch_up(
            projector=self._projector, rebuild=self._rebuild, until=self._until
        ):
            pass
        return self._rebuild

    def tell(self, phase: Phase) -> None:
        """Tell the listener how far the rebuild is."""
        if phase in (Phase.COPYING, Phase.INDEXING):
            self._events_done = events_done(rebuild=self._rebuild)
        self._listener(
            RebuildProgress(
                projection=self._projector.name,
                phase=phase,
                events_done=self._events_done,
                events_total=max(self._rebuild.events_total, self._events_done),
            )
        )

    def _goes_on(self, phase: Phase) -> bool:
        self.tell(phase)
        if self._should_stop():
            raise RebuildStopped(f"the rebuild of {self._projector.name} was stopped; the next one goes on from there")
        return True

    def _index(self) -> None:
        self._goes_on(Phase.INDEXING)
        with inside_shadow(projector=self._projector):
            run("index_shadow", projection=self._projector.name)
            self._rebuild.phase, self._rebuild.position = CATCHING_UP, self._rebuild.until_position
            self._rebuild.save(force_update=True)


def _gone_on_with(projector: Projector[Any], until: int | None) -> ProjectionRebuild | None:
    """Return the rebuild that was interrupted, if its shadow is there, was filled by the same code, and not too far."""
    found = ProjectionRebuild.objects.filter(projection=projector.name, release=release()).first()
    if found is None or not has_shadow(projector=projector):
        return None
    return None if until is not None and max(found.position, found.until_position) > until else found


def _begun(projector: Projector[Any], until: int | None) -> ProjectionRebuild:
    until_position = event_store().head_position() if until is None else until
    prefix = projector.stream_prefix
    bounds = {"from": prefix, "before": end_of(prefix=prefix), "until_position": until_position}
    [events_total] = run("count_events_of_streams", **bounds)
    with transaction.atomic(durable=True):
        make_shadow(projector=projector)
        ProjectionRebuild.objects.filter(projection=projector.name).delete()
        rebuild = ProjectionRebuild.objects.create(
            projection=projector.name, release=release(), until_position=until_position, events_total=events_total
        )
        cut_into_parts(projector=projector, rebuild=rebuild)
        return rebuild


@contextmanager
def _outdated_shadow_given_up(projector: Projector[Any]) -> Iterator[None]:
    """Begin anew next time if a migration changed the live read model meanwhile. Raises ShadowOutdated."""
    try:
        yield
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) != OUTDATED:
            raise
        ProjectionRebuild.objects.filter(projection=projector.name).delete()
        raise ShadowOutdated(f"{projector.name} has to be rebuilt anew: {error}") from error
