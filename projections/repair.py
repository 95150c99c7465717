"""What operators do about a stream that its read models are wrong about or cannot go on with; each act is recorded."""

import re
import time
from typing import Any

from django.conf import settings

from accounts.domain.exceptions import AccountNotFound
from accounts.repository import account_stream_id
from eventstore.records import JsonObject
from eventstore.store import event_store
from projections.models import ProjectionFailure
from projections.operations import record_act
from projections.projector import Projector, selects
from projections.projectors import PROJECTORS
from projections.streams import Standing, begin_rebuild, rebuild_stream, retry_stream, standing_of

STREAM_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What ids of streams are made of."""


def rebuild_account(*, account_id: str, reason: str | None, metadata: JsonObject) -> list[Standing]:
    """Project an account anew in each of its read models, and return how it stands in them.

    It takes no longer than a batch does: an account of more events is left to the jobs worker, and is being rebuilt
    until then. Raises AccountNotFound if there is nothing of it anywhere; StoreUnavailable and the database's errors.
    """
    stream_id = account_stream_id(account_id)
    if not is_known(stream_id=stream_id):
        raise AccountNotFound(accountId=account_id)
    _record("StreamRebuilt", None, stream_id, reason, metadata)
    # An in-memory bank has no jobs worker.
    rebuild = rebuild_stream if settings.IN_MEMORY else begin_rebuild
    return [rebuild(projector=projector, stream_id=stream_id) for projector in projectors_of(stream_id=stream_id)]


def account_standings(*, account_id: str) -> list[Standing]:
    """Return how an account stands in each of its read models. Raises AccountNotFound."""
    stream_id = account_stream_id(account_id)
    if not is_known(stream_id=stream_id):
        raise AccountNotFound(accountId=account_id)
    return [standing_of(projector=projector, stream_id=stream_id) for projector in projectors_of(stream_id=stream_id)]


def rebuild_to_the_end(*, stream_id: str, reason: str, metadata: JsonObject) -> list[Standing]:
    """Project a stream anew in each of its read models, however long that takes. Raises as `rebuild_stream` does."""
    _record("StreamRebuilt", None, stream_id, reason, metadata)
    return [rebuild_stream(projector=one, stream_id=stream_id) for one in projectors_of(stream_id=stream_id)]


def retry_parked(
    *, projector: Projector[Any], stream_id: str, reason: str, metadata: JsonObject, for_seconds: float
) -> Standing | None:
    """Go on with a parked stream for so long at most: what is left to do then, the runner does.

    None if it is not parked. Raises as `retry_stream` does.
    """
    _record("StreamRetried", projector.name, stream_id, reason, metadata)
    return retry_stream(projector=projector, stream_id=stream_id, until=time.monotonic() + for_seconds)


def rebuild_parked(*, projector: Projector[Any], stream_id: str, reason: str, metadata: JsonObject) -> Standing:
    """Project a stream anew in one of its read models, as `rebuild_account` does in all of them."""
    _record("StreamRebuilt", projector.name, stream_id, reason, metadata)
    return begin_rebuild(projector=projector, stream_id=stream_id)


def record_retry(*, failure: ProjectionFailure, reason: str, metadata: JsonObject) -> None:
    """Record that somebody has a parked stream retried as soon as a runner comes to it."""
    _record("StreamRetried", failure.projection, failure.stream_id, reason, metadata)


def projectors_of(*, stream_id: str) -> list[Projector[Any]]:
    """Return the projectors that read a stream."""
    return [projector for projector in PROJECTORS if selects(projector=projector, stream_id=stream_id)]


def projector_named(*, name: str) -> Projector[Any] | None:
    """Return the projector of that name, None if there is none any more."""
    return next((projector for projector in PROJECTORS if projector.name == name), None)


def is_known(*, stream_id: str) -> bool:
    """Tell whether the log has the stream, or a read model has rows that claim to be of it."""
    if not STREAM_ID.fullmatch(stream_id):
        return False
    if event_store().read_stream(stream_id, limit=1):
        return True
    return any(projector.load(stream_ids=[stream_id]) for projector in projectors_of(stream_id=stream_id))


def _record(event_type: str, projection: str | None, stream_id: str, reason: str | None, metadata: JsonObject) -> None:
    """Record an act on a stream: in one projection, or in all that read it."""
    said = {"projection": projection, "streamId": stream_id, "reason": reason}
    data = {name: value for name, value in said.items() if value is not None}
    record_act(event_type=event_type, data=data, metadata=metadata)
