"""Which events the bank can read again, of all kinds of streams that it has."""

from collections.abc import Callable, Mapping
from typing import Any

from accounts import event_types as account_events
from accounts.domain.exceptions import CorruptHistory
from accounts.repository import account_stream_id
from eventstore.archive.lines import Entry
from eventstore.records import RecordedEvent
from projections.operations import PREFIX as OPERATIONS
from transfers import event_types as transfer_events
from transfers.repository import transfer_stream_id

_DECODERS: Mapping[str, tuple[Callable[..., Any], str]] = {
    account_stream_id(""): (account_events.decode, "account_id"),
    transfer_stream_id(""): (transfer_events.decode, "transfer_id"),
}
"""What the ids of streams begin with: how their events are read, and which field is the rest of the id."""


def checked(entry: Entry) -> Entry:
    """Return `entry`, or one that says why the bank could not read its event."""
    problem = _problem(entry.event) if entry.event else None
    return Entry(line=entry.line, problem=problem) if problem else entry


def _problem(event: RecordedEvent) -> str | None:
    if event.stream_id.startswith(OPERATIONS):
        # Nothing is decided on the acts of operators, so there is nothing to read them as.
        return None
    for prefix, (decode, id_field) in _DECODERS.items():
        if event.stream_id.startswith(prefix):
            try:
                decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
            except CorruptHistory as error:
                return f"the bank does not know such an event: {error}"
            is_at_home = prefix + getattr(decoded, id_field) == event.stream_id
            return None if is_at_home else f"it stands in {event.stream_id}, and is of {getattr(decoded, id_field)}"
    return f"the bank knows no stream like {event.stream_id[:100]!r}"
