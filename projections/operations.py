"""The acts of operators that touch no account: each is an event, in one stream for each day."""

from datetime import UTC, datetime
from typing import Any

from eventstore.execution import NewId, States, Stream, StreamKind, execute
from eventstore.records import CommandContext, Decision, DraftEvent, JsonObject

PREFIX = "operations-"

# Nothing is decided on what was done before, so nothing of it is kept.
_ACTS = StreamKind(
    snapshot_schema_version=1,
    initial=lambda: None,
    apply=lambda state, event_type, schema_version, data: None,
    to_snapshot=lambda state: {},
    from_snapshot=lambda state: None,
)


def record_act(*, event_type: str, data: JsonObject, metadata: JsonObject) -> None:
    """Record what an operator has the bank do, before it is done: `metadata` says who it is, as with any event.

    Raises StoreUnavailable, OutcomeUnknown or Contention; the act is not to be done then.
    """
    stream_id = f"{PREFIX}{datetime.now(UTC):%Y-%m-%d}"

    def decide(states: States, command: Any, moment: datetime, new_id: NewId) -> Decision:
        act = DraftEvent(event_id=new_id(), event_type=event_type, schema_version=1, data=data)
        return Decision(events={stream_id: (act,)})

    execute(
        streams=[Stream(stream_id=stream_id, kind=_ACTS)],
        command=None,
        decide=decide,
        context=CommandContext(metadata=metadata),
    )
