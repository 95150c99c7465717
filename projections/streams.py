"""One stream of a projection by itself: gone on with after it was parked, or projected anew from its first event."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from eventstore.exceptions import StoreUnavailable
from eventstore.records import RecordedEvent
from eventstore.store import EventStore, event_store
from projections.engine import Failure, lock_checkpoint, project_stream
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.parking import park, postpone, suspect
from projections.projector import Projector, entity_id
from projections.read_models import delete_rows
from projections.statements import statement

logger = logging.getLogger(__name__)

STREAMS_A_ROUND = 100
MAX_TURNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a stream stands in a projection: the version of its rows, the checkpoint, and what it is parked with."""

    projection: str
    version: int
    position: int
    error: str | None


def retry_due(*, projectors: Sequence[Projector[Any]], until: float, store: EventStore | None = None) -> None:
    """Try again with the parked streams whose time has come, until the monotonic clock says `until`.

    What others have in hand is left to them, and streams whose rows are suspect to `rebuild_suspects`.
    Raises StoreUnavailable and the database's errors.
    """
    for projector in projectors:
        due = ProjectionFailure.objects.filter(
            projection=projector.name, rows_are_suspect=False, next_attempt_at__lte=timezone.now()
        ).order_by("next_attempt_at")
        for failure in due[:STREAMS_A_ROUND]:
            if time.monotonic() >= until:
                return
            try:
                retry_stream(projector=projector, stream_id=failure.stream_id, wait=False, until=until, store=store)
            except (StoreUnavailable, OperationalError, InterfaceError):
                raise
            except Exception as error:
                # Its rows cannot even be read: whatever that is, it must keep none of the others waiting.
                logger.exception("%s: stream %s could not be tried again", projector.name, failure.stream_id)
                postpone(failure=failure, error=error)


def retry_stream(
    *,
    projector: Projector[Any],
    stream_id: str,
    wait: bool = True,
    until: float = math.inf,
    store: EventStore | None = None,
) -> Standing | None:
    """Go on with a parked stream from its rows, up to the checkpoint, and unpark it if that succeeds.

    Each batch of its events is a transaction, so that not even a long stream holds the checkpoint for long; what is not
    done when the monotonic clock says `until` stays parked, and due. If the rows themselves are at fault, a stream of
    one batch is projected anew, a longer one by `rebuild_stream` alone.
    Return None if the stream is not parked or, without `wait`, if somebody else has it in hand. Raises StoreUnavailable
    and the database's errors.
    """
    store = store or event_store()
    while True:
        with transaction.atomic(durable=True):
            # First the stream, then the checkpoint: everybody who wants both takes them in this order.
            failure = _lock_failure(projector, stream_id, skip_locked=not wait)
            if failure is None:
                return None
            if not failure.rows_are_suspect:
                checkpoint = lock_checkpoint(projector=projector, skip_locked=not wait)
                if checkpoint is None:
                    return None
                standing, is_finished = _go_on(projector, stream_id, store, checkpoint.position)
                if is_finished or time.monotonic() >= until:
                    return standing
                continue
        return rebuild_stream(projector=projector, stream_id=stream_id, store=store) if wait else None


def rebuild_stream(*, projector: Projector[Any], stream_id: str, store: EventStore | None = None) -> Standing:
    """Project one stream anew, from its first event up to the checkpoint; readers see all of it or nothing.

    A stream of one batch takes one transaction under the checkpoint's lock. A longer one is parked meanwhile, so that
    the checkpoint is free for all other streams; if that is cut short, its old rows stay, and are known to be suspect.
    If an event cannot be projected the stream is parked at it. Raises StoreUnavailable and the database's errors,
    OperationalError among them if the checkpoint or the stream is held for longer than lock_timeout.
    """
    store = store or event_store()
    for _ in range(MAX_TURNS):
        standing = _rebuild_at_once(projector, stream_id, store) or _rebuild_while_parked(projector, stream_id, store)
        if standing:
            return standing
        # Somebody else finished with the stream in between, perhaps going on from the rows that we do not trust.
    raise OperationalError(f"{stream_id} is being worked on by others")


def rebuild_suspects(*, projectors: Sequence[Projector[Any]], until: float) -> None:
    """Rebuild streams whose rebuilding was cut short, until the monotonic clock says `until`. Raises as it does."""
    by_name = {projector.name: projector for projector in projectors}
    suspects = ProjectionFailure.objects.filter(projection__in=by_name, rows_are_suspect=True)
    for failure in suspects.order_by("next_attempt_at")[:STREAMS_A_ROUND]:
        if time.monotonic() >= until:
            return
        # Without waiting for those that somebody has in hand at this moment.
        _rebuild_while_parked(by_name[failure.projection], failure.stream_id, event_store(), skip_locked=True)


def _go_on(projector: Projector[Any], stream_id: str, store: EventStore, until_position: int) -> tuple[Standing, bool]:
    """Project one batch from the stream's rows on; return how it stands, and whether there is no more to do for now."""
    rows = projector.load(stream_ids=[stream_id]).get(stream_id)
    state = projector.initial(stream_id=stream_id) if rows is None else rows
    events = _read(store, stream_id, state.version, until_position)
    state, failure = project_stream(projector=projector, state=state, events=events)
    if failure and rows is not None and failure.event.version <= settings.PROJECTION_BATCH_EVENTS:
        state, failure = _anew(projector, stream_id, store, until_position, than=(state, failure))
    is_last = len(events) < settings.PROJECTION_BATCH_EVENTS
    return _concluded(projector, stream_id, until_position, state, failure, is_last=is_last), bool(failure) or is_last


def _anew(
    projector: Projector[Any], stream_id: str, store: EventStore, until_position: int, *, than: tuple[Any, Failure]
) -> tuple[Any, Failure | None]:
    """Project a stream of one batch from its first event; keep the rows of before if that brings it no further."""
    before = transaction.savepoint()
    delete_rows(projector=projector, entity_id=entity_id(projector=projector, stream_id=stream_id))
    state, failure = _project_from(projector, projector.initial(stream_id=stream_id), store, stream_id, until_position)
    if failure and failure.event.version <= than[1].event.version:
        transaction.savepoint_rollback(before)
        return than
    return state, failure


def _rebuild_at_once(projector: Projector[Any], stream_id: str, store: EventStore) -> Standing | None:
    """Rebuild a stream of one batch; one that is longer is parked, and None returned."""
    with transaction.atomic(durable=True):
        _lock_failure(projector, stream_id, skip_locked=False)
        checkpoint = lock_checkpoint(projector=projector, skip_locked=False)
        position = checkpoint.position if checkpoint else 0
        events = _read(store, stream_id, 0, position)
        if len(events) == settings.PROJECTION_BATCH_EVENTS:
            suspect(projection=projector.name, event=events[0])
            return None
        delete_rows(projector=projector, entity_id=entity_id(projector=projector, stream_id=stream_id))
        initial = projector.initial(stream_id=stream_id)
        state, failure = project_stream(projector=projector, state=initial, events=events)
        return _concluded(projector, stream_id, position, state, failure, is_last=True)


def _rebuild_while_parked(
    projector: Projector[Any], stream_id: str, store: EventStore, *, skip_locked: bool = False
) -> Standing | None:
    """Rebuild a stream that is parked for it: the checkpoint is locked for its latest events alone."""
    with transaction.atomic(durable=True):
        parked = _lock_failure(projector, stream_id, skip_locked=skip_locked)
        if parked is None or not parked.rows_are_suspect:
            return None
        _take_time()
        delete_rows(projector=projector, entity_id=entity_id(projector=projector, stream_id=stream_id))
        initial = projector.initial(stream_id=stream_id)
        seen = ProjectionCheckpoint.objects.get(projection=projector.name).position
        state, failure = _project_from(projector, initial, store, stream_id, seen)
        checkpoint = lock_checkpoint(projector=projector, skip_locked=False)
        position = checkpoint.position if checkpoint else seen
        if failure is None:
            state, failure = _project_from(projector, state, store, stream_id, position)
        return _concluded(projector, stream_id, position, state, failure, is_last=True)


def _project_from(
    projector: Projector[Any], state: Any, store: EventStore, stream_id: str, until_position: int
) -> tuple[Any, Failure | None]:
    """Project a stream's events after `state`, in batches: an account may have more of them than fit in memory."""
    while events := _read(store, stream_id, state.version, until_position):
        state, failure = project_stream(projector=projector, state=state, events=events)
        if failure:
            return state, failure
    return state, None


def _concluded(
    projector: Projector[Any], stream_id: str, position: int, state: Any, failure: Failure | None, *, is_last: bool
) -> Standing:
    """Park the stream with its failure, or unpark it if it has all events up to the checkpoint."""
    if failure:
        park(projection=projector.name, event=failure.event, error=failure.error)
    elif is_last:
        ProjectionFailure.objects.filter(projection=projector.name, stream_id=stream_id).delete()
    return Standing(
        projection=projector.name,
        version=state.version,
        position=position,
        error=f"{type(failure.error).__name__}: {failure.error}" if failure else None,
    )


def _read(store: EventStore, stream_id: str, after_version: int, until_position: int) -> list[RecordedEvent]:
    events = store.read_stream(stream_id, after_version=after_version, limit=settings.PROJECTION_BATCH_EVENTS)
    return [event for event in events if event.position <= until_position]


def _lock_failure(projector: Projector[Any], stream_id: str, *, skip_locked: bool) -> ProjectionFailure | None:
    rows = ProjectionFailure.objects.select_for_update(skip_locked=skip_locked)
    return rows.filter(projection=projector.name, stream_id=stream_id).first()


def _take_time() -> None:
    """Let the statements of this transaction take as long as a stream of millions of events takes."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement("take_time"))
