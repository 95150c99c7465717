"""Mends what is derived from the log, and never the log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import OperationalError, ProgrammingError, connection, transaction

from eventstore.exceptions import StoreUnavailable
from projections.projector import Projector
from projections.statements import statement
from projections.streams import rebuild_stream
from projections.verification.differences import IN_FLIGHT, READ_MODEL, SNAPSHOT, Findings
from projections.verification.whole_log import fold_transfer
from transfers.domain.transfer import IN_FLIGHT as STATES_IN_FLIGHT


class CannotMend(Exception):
    """A stream is left as it is, and why."""


def mend(*, findings: Findings, projectors: Sequence[Projector[Any]]) -> dict[str, str]:
    """Make anew from its events what differs of a stream: rows of read models, snapshots, the list of those in flight.

    Return the projections that could not make all of their rows and parked the stream, each with its error. Raises
    CannotMend. From a log that is damaged itself nothing is made: the rows of before may be all that tells what it was.
    """
    if not findings.log_is_sound:
        raise CannotMend("its log is damaged, and what is derived from it is left as it is")
    parked: dict[str, str] = {}
    places = {check: {place for one, place in findings.counts if one == check} for check, _ in findings.counts}
    try:
        # What any role may mend comes first.
        for projector in projectors:
            if projector.name in places.get(READ_MODEL, ()):
                standing = rebuild_stream(projector=projector, stream_id=findings.stream_id)
                if standing.error is not None:
                    parked[projector.name] = standing.error
        if IN_FLIGHT in places:
            _list_anew(findings.stream_id)
        if SNAPSHOT in places:
            _drop_snapshots(findings.stream_id)
    except ProgrammingError as error:
        raise CannotMend(f"this role may not: {_first_line(error)}") from error
    except (OperationalError, StoreUnavailable) as error:
        raise CannotMend(f"not now: {_first_line(error)}") from error
    except Exception as error:
        raise CannotMend(f"{type(error).__name__}: {_first_line(error)}") from error
    return parked


def _drop_snapshots(stream_id: str) -> None:
    # All of them: one that was made from one that is wrong is wrong as well.
    with transaction.atomic(durable=True):
        _run("drop_snapshots", stream_id=stream_id)


def _list_anew(stream_id: str) -> None:
    """List the transfer as in flight or not, as its events say; meanwhile nobody can add to them."""
    with transaction.atomic(durable=True):
        _run("hold_the_log")
        transfer = fold_transfer(stream_id=stream_id)
        if transfer.state in STATES_IN_FLIGHT:
            resume_at = datetime.fromisoformat(transfer.resume_at) if transfer.resume_at else None
            _run("list_in_flight", stream_id=stream_id, resume_at=resume_at)
        else:
            _run("unlist_in_flight", stream_id=stream_id)


def _run(stem: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement(stem), parameters)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
