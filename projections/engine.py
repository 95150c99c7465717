"""The one way a read model changes: lock the checkpoint, read a batch, apply it, save the checkpoint, all at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from django.conf import settings
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from eventstore.exceptions import StoreUnavailable
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.metrics import BATCHES_PROJECTED, EVENTS_PROJECTED
from projections.models import ProjectionCheckpoint
from projections.parking import park, parked
from projections.projector import Projector, State, selects
from projections.read_models import write_rows
from projections.statements import rows_of, statement
from projections.turn import Log

logger = logging.getLogger(__name__)

DATABASE_IS_AWAY = (StoreUnavailable, OperationalError, InterfaceError)
# What rows can be at fault for, or their making; any other error of the database says nothing about the events.
REFUSED_ROWS = (DataError, IntegrityError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class StreamGap(Exception):
    """An event came that is not the next one of its stream: those between are missing."""


class CheckpointAheadOfLog(Exception):
    """A projection has seen more than there is: the log was cut short, or its checkpoint is damaged. Rebuild it."""


def is_away(error: Exception) -> bool:
    """Tell whether an error says that the database is away, and not that it refused what was asked: for a lock, say.

    Called outside of a transaction, with the connection that the error came by.
    """
    return isinstance(error, StoreUnavailable) or not connection.is_usable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a projection stands after a batch, and how many events of the log the batch held."""

    position: int
    events: int


class Step(NamedTuple, Generic[State]):
    """One event, and what its stream had come to with it."""

    event: RecordedEvent
    state: State


class _Batch(NamedTuple):
    """After which position a batch begins, where its checkpoint has been moved to, and whether streams are parked."""

    position: int
    moved_to: int
    has_parked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The event at which a stream cannot go on, and why."""

    event: RecordedEvent
    error: Exception


def advance(*, projector: Projector[Any], store: Log | None = None, head: int = 0) -> Progress | None:
    """Project the next batch of the log, exactly once; None if another runner is at it.

    `head` is a position up to which the log was found to be complete before; the log is asked for one beyond it only if
    the projection stands there already.

    Events and checkpoint are committed together, and the checkpoint's row is locked first: so a runner that dies leaves
    nothing half done, and a second one can neither repeat the batch nor overtake it.
    Raises CheckpointAheadOfLog, StoreUnavailable and the database's errors; a stream that cannot be projected is parked
    instead.
    """
    store = store or event_store()
    is_refused = False
    try:
        made = _advance(projector, store, head, savepoints=False)
    except REFUSED_ROWS:
        is_refused = True
    if is_refused:
        # Nothing of it was kept. Few batches have such a row: only they are worth the round trips to find which it is.
        made = _advance(projector, store, head, savepoints=True)
    if made:
        _count(projector, made)
    return made


def advance_together(*, projectors: Sequence[Projector[Any]], store: Log, head: int) -> list[Progress] | None:
    """Project the next batch for all of these by one transaction: that takes fewer round trips than one for each.

    None, and nothing was done, if they do not stand at one position before `head`, if another runner is at one of them,
    or if one fails: then each has to go alone, which tells whose row was refused, or who has to wait for a lock.
    Raises StoreUnavailable, and the database's errors if it is away.
    """
    if connection.vendor != "postgresql":
        return None
    try:
        with transaction.atomic(durable=True):
            batches = _begin_batches(projectors, head)
            stretches = {(batch.position, batch.moved_to) for batch in batches}
            if len(batches) < len(projectors) or len(stretches) > 1:
                transaction.set_rollback(True)
                return None
            [(begin, end)] = stretches
            if begin == end:
                return None
            events = store.read_all(after_position=begin, up_to_position=end, limit=end - begin, stream_prefix="")
            for projector, batch in zip(projectors, batches, strict=True):
                project(projector=projector, events=events, savepoints=False, has_parked=batch.has_parked)
    except Exception as error:
        if is_away(error):
            raise
        logger.warning("projections go on one by one for now: %r", error)
        return None
    made = Progress(position=end, events=end - begin)
    for projector in projectors:
        _count(projector, made)
    return [made] * len(projectors)


def _count(projector: Projector[Any], made: Progress) -> None:
    if made.events:
        BATCHES_PROJECTED.labels(projector.name).inc()
        EVENTS_PROJECTED.labels(projector.name).inc(made.events)


def _advance(projector: Projector[Any], store: Log, head: int, *, savepoints: bool) -> Progress | None:
    with transaction.atomic(durable=True):
        batch = _begin_batch(projector, head)
        if batch is None:
            return None
        begin = batch.position
        if begin >= head:
            # Whatever is not beyond the head is committed, so no event can come in there later: see append_events.
            head = store.head_position()
        if begin > head:
            raise CheckpointAheadOfLog(f"{projector.name} is at position {begin}, and the log ends at {head}")
        end = min(head, begin + settings.PROJECTION_BATCH_EVENTS)
        if end > begin:
            events = store.read_all(
                after_position=begin, up_to_position=end, limit=end - begin, stream_prefix=projector.stream_prefix
            )
            project(projector=projector, events=events, savepoints=savepoints, has_parked=batch.has_parked)
            if end != batch.moved_to:
                _move(projector, end)
    return Progress(position=end, events=end - begin)


def _begin_batch(projector: Projector[Any], head: int) -> _Batch | None:
    """Lock the checkpoint, and move it to where the batch will end; None if another runner holds it."""
    if connection.vendor == "postgresql":
        # The usual way, and as short as can be: there is a turn every few hundredths of a second.
        if found := _begin_batches([projector], head):
            return found[0]
    locked = lock_checkpoint(projector=projector, skip_locked=True)
    return _Batch(position=locked.position, moved_to=locked.position, has_parked=True) if locked else None


def _begin_batches(projectors: Sequence[Projector[Any]], head: int) -> list[_Batch]:
    asked = {
        "projections": [projector.name for projector in projectors],
        "head": head,
        "most_events": settings.PROJECTION_BATCH_EVENTS,
        "now": timezone.now(),
    }
    return [_Batch(*row) for row in rows_of(sql=statement("begin_batches"), parameters=asked)]


def keep_alive(*, projectors: Sequence[Projector[Any]]) -> None:
    """Note that somebody looks after these projections, also while there is nothing to project: silence means death.

    A checkpoint that is locked is left to whoever advances it: he notes the same. Raises the database's errors.
    """
    names = [projector.name for projector in projectors]
    with transaction.atomic(durable=True):
        idle = ProjectionCheckpoint.objects.select_for_update(skip_locked=True).filter(projection__in=names)
        ProjectionCheckpoint.objects.filter(projection__in=idle.values("projection")).update(
            heartbeat_at=timezone.now()
        )


def lock_checkpoint(*, projector: Projector[Any], skip_locked: bool) -> ProjectionCheckpoint | None:
    """Return the projection's checkpoint, locked until the transaction ends; None if another runner holds it.

    Without `skip_locked` it is waited for: OperationalError is raised if that takes longer than lock_timeout.
    """
    # SQLite knows no row locks and needs none: its transactions begin IMMEDIATE, so only one of them is under way.
    rows = ProjectionCheckpoint.objects.select_for_update(skip_locked=skip_locked).filter(projection=projector.name)
    if (locked := rows.first()) is None:
        # Somebody else has it, or it was never made: making it changes nothing in the first case.
        ProjectionCheckpoint.objects.bulk_create(
            [ProjectionCheckpoint(projection=projector.name)], ignore_conflicts=True
        )
        locked = rows.first()
    return locked


def _move(projector: Projector[Any], position: int) -> None:
    now = timezone.now()
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(
        position=position, heartbeat_at=now, updated_at=now
    )


def project(
    *, projector: Projector[Any], events: Sequence[RecordedEvent], savepoints: bool, has_parked: bool = True
) -> None:
    """Apply a batch in the caller's transaction: each stream's events in order, one read and one write for all of them.

    Unless it `has_parked` streams, none need be left out.
    What cannot be applied parks its stream. Raises the database's errors; without `savepoints` a refused row is one of
    them, and the transaction cannot go on.
    """
    by_stream: dict[str, list[RecordedEvent]] = {}
    for event in events:
        if selects(projector=projector, stream_id=event.stream_id):
            by_stream.setdefault(event.stream_id, []).append(event)
    if has_parked:
        for stream_id in parked(projection=projector.name, stream_ids=by_stream):
            # Its events wait in the log; projections.streams comes back for them.
            del by_stream[stream_id]
    if not by_stream:
        return
    states = projector.load(stream_ids=by_stream.keys())
    histories, failures = [], []
    for stream_id, stream_events in by_stream.items():
        state = states.get(stream_id) or projector.initial(stream_id=stream_id)
        steps, failure = fold(projector=projector, state=state, events=stream_events)
        histories.append(steps)
        if failure:
            failures.append(failure)
    if savepoints:
        # A row refused is an earlier event than the one that could not be folded: it is the one to be kept.
        refused = save(projector=projector, histories=histories)
    else:
        refused = []
        _write(projector, [steps for steps in histories if steps])
    for failure in {failure.event.stream_id: failure for failure in (*failures, *refused)}.values():
        park(projection=projector.name, event=failure.event, error=failure.error)


def project_stream(
    *, projector: Projector[State], state: State, events: Sequence[RecordedEvent]
) -> tuple[State, Failure | None]:
    """Fold and write the events that one stream has after `state`, in a transaction that holds its stream for itself.

    Return what it has come to, and the failure at which it cannot go on: all before that event is written.
    """
    steps, failure = fold(projector=projector, state=state, events=events)
    if refused := save(projector=projector, histories=[steps]):
        return state, refused[0]
    return (steps[-1].state if steps else state), failure


def fold(
    *, projector: Projector[State], state: State, events: Sequence[RecordedEvent]
) -> tuple[list[Step[State]], Failure | None]:
    """Apply events that are the next ones of their stream; stop at the first that cannot be applied."""
    steps: list[Step[State]] = []
    for event in events:
        if event.version <= state.version:
            continue
        try:
            if event.version > state.version + 1:
                raise StreamGap(f"version {event.version} came after version {state.version}")
            state = projector.apply(state=state, event=event)
        except Exception as error:
            return steps, Failure(event=event, error=error)
        steps.append(Step(event=event, state=state))
    return steps, None


def save(*, projector: Projector[State], histories: Sequence[Sequence[Step[State]]]) -> list[Failure]:
    """Write all histories at once; if a row is refused, find which by halves, and keep all others.

    Return the first refused event of each stream that has one.
    """
    histories = [steps for steps in histories if steps]
    if not histories:
        return []
    try:
        with transaction.atomic():
            _write(projector, histories)
        return []
    except REFUSED_ROWS as error:
        if len(histories) > 1:
            half = len(histories) // 2
            return [
                *save(projector=projector, histories=histories[:half]),
                *save(projector=projector, histories=histories[half:]),
            ]
        [steps] = histories
        if len(steps) == 1:
            return [Failure(event=steps[0].event, error=error)]
        # A stream keeps what comes before the refused row, and nothing of what comes after it.
        half = len(steps) // 2
        return save(projector=projector, histories=[steps[:half]]) or save(
            projector=projector, histories=[steps[half:]]
        )


def _write(projector: Projector[State], histories: Sequence[Sequence[Step[State]]]) -> None:
    rows = [row for steps in histories for row in projector.rows(history=[step.state for step in steps])]
    write_rows(projector=projector, rows=rows)
