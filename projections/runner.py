"""Keeps the projections advancing: for a time slice, for ever, or once up to the head of the log."""

import logging
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from django.conf import settings
from django.db import connection

from eventstore.store import EventStore, event_store
from projections.engine import DATABASE_IS_AWAY as DATABASE_IS_AWAY
from projections.engine import Progress, advance, advance_together, is_away, keep_alive
from projections.projector import Projector
from projections.projectors import PROJECTORS
from projections.streams import rebuild_suspects, retry_due
from projections.turn import Turn

logger = logging.getLogger(__name__)

# The shortest wait, and the longest while there are events.
BUSY_SECONDS = 0.005
MAX_BUSY_SECONDS = 0.025
REST_PER_WORK = 4
OUTAGE_SECONDS = 1.0
HEARTBEAT_SECONDS = 1.0
# At most, with each heartbeat, for streams that were parked: all others come first.
RETRY_SECONDS = 0.25
REBUILD_SECONDS = 5.0


def advance_all(*, slice_seconds: float, should_stop: Callable[[], bool], store: EventStore | None = None) -> None:
    """Advance all projections in turn until the slice is over or `should_stop()`, and wait for events in between.

    The wait is some milliseconds while there are events, and grows to settings.PROJECTION_IDLE_SECONDS without. Once
    a second the parked streams that are due are tried again. A projection that fails as a whole (not one of its
    streams) is logged and left alone until the next slice. Raises StoreUnavailable when the log is away.
    """
    store = store or event_store()
    slice_end = time.monotonic() + slice_seconds
    working = list(PROJECTORS)
    wait_seconds = BUSY_SECONDS
    caught_up_to: int | None = None
    is_together = True
    next_heartbeat = 0.0
    while (turn_began := time.monotonic()) < slice_end and not should_stop():
        head = store.head_position()
        progress = _take_turn(working, Turn(store=store), head, is_together) if head != caught_up_to else []
        if progress:
            caught_up_to = _least_position(progress)
            is_together = len({made and made.position for made in progress}) == 1
        # While one projection catches up another may have nothing to do, and shows that it lives by nothing else.
        if time.monotonic() >= next_heartbeat:
            keep_alive(projectors=working)
            retry_due(projectors=working, until=min(slice_end, time.monotonic() + RETRY_SECONDS), store=store)
            next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        most_events = max((made.events for made in progress if made), default=0)
        if most_events == settings.PROJECTION_BATCH_EVENTS:
            continue
        if most_events:
            wait_seconds = _rest_seconds(turn_seconds=time.monotonic() - turn_began)
        else:
            wait_seconds = min(wait_seconds * 2, settings.PROJECTION_IDLE_SECONDS)
        # Not a wait on an Event: a signal handler that sets the Event its own thread is waiting on never returns.
        time.sleep(wait_seconds)


def run_forever(*, stop: Event) -> None:
    """Advance all projections until `stop` is set; an outage of the database is waited out."""
    try:
        while not stop.is_set():
            try:
                advance_all(slice_seconds=settings.PROJECTION_SLICE_SECONDS, should_stop=stop.is_set)
            except Exception as error:
                log_interruption(error)
                # Whatever is wrong with the connection, the next one has not got it.
                connection.close()
                time.sleep(OUTAGE_SECONDS)
    finally:
        connection.close()


def rebuild_suspects_forever(*, stop: Event) -> None:
    """Do without beat, in a thread: rebuild streams that are parked for it, until `stop` is set."""
    while not stop.wait(REBUILD_SECONDS):
        rebuild_all_suspects(slice_seconds=REBUILD_SECONDS)


def rebuild_all_suspects(*, slice_seconds: float) -> None:
    """Rebuild streams that are parked for it, and begin none when the slice is over; what interrupts it is logged."""
    try:
        rebuild_suspects(projectors=PROJECTORS, until=time.monotonic() + slice_seconds)
    except Exception as error:
        log_interruption(error)
    finally:
        # Databases go away: nothing begins with a connection of another time.
        connection.close()


def catch_up(*, projectors: Sequence[Projector[Any]] = PROJECTORS, store: EventStore | None = None) -> None:
    """Advance projections until each has seen all that is in the log now. Raises what `advance` raises."""
    store = store or event_store()
    head = store.head_position()
    for projector in projectors:
        while (progress := advance(projector=projector, store=store)) is None or progress.position < head:
            if progress is None:
                time.sleep(BUSY_SECONDS)


def log_interruption(error: Exception) -> None:
    """Log why projecting stopped for now: an outage in one line, anything else as the defect that it is."""
    if isinstance(error, DATABASE_IS_AWAY):
        logger.warning("projections wait for the database: %s", on_one_line(error))
    else:
        logger.error("projections were interrupted", exc_info=error)


def on_one_line(error: object) -> str:
    """Return what `error` says; those of the database come with line breaks."""
    return " ".join(str(error).split())


def _rest_seconds(*, turn_seconds: float) -> float:
    """Return how long to rest after a turn that had events.

    A turn costs nearly the same with one event as with fifty, and those of the rest share the next one. A turn of up to
    six milliseconds takes a fifth of the time; longer ones take more of it, for read models are to stay less than a
    tenth of a second behind.
    """
    return min(max(BUSY_SECONDS, REST_PER_WORK * turn_seconds), MAX_BUSY_SECONDS)


def _take_turn(working: list[Projector[Any]], turn: Turn, head: int, is_together: bool) -> Sequence[Progress | None]:
    """Advance all projections by one batch: at once if they stood together after the last one, or else one by one."""
    together = advance_together(projectors=working, store=turn, head=head) if is_together and working else None
    return together or _advance_each(working, turn, head)


def _advance_each(working: list[Projector[Any]], turn: Turn, head: int) -> list[Progress | None]:
    """Advance each projection by one batch; one that fails leaves `working`, so that the others go on."""
    progress: list[Progress | None] = []
    for projector in tuple(working):
        try:
            progress.append(advance(projector=projector, store=turn, head=head))
        except Exception as error:
            if is_away(error):
                raise
            logger.exception("projection %s stopped; the next slice tries again", projector.name)
            working.remove(projector)
    return progress


def _least_position(progress: Sequence[Progress | None]) -> int | None:
    """Return the position that all projections have reached; None if another runner knows that of one of them."""
    positions = [made.position for made in progress if made]
    return min(positions) if positions and len(positions) == len(progress) else None
