"""Several commands as one: all of them happen, one after another, in one commit, or none does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from eventstore.exceptions import VersionConflict
from eventstore.execution import Execution, NewId, States
from eventstore.folding import Stream
from eventstore.records import CommandContext, Decision, DraftEvent, JsonObject, StoredState


def all_or_nothing(*, parts: Sequence[Execution], context: CommandContext) -> Execution:
    """Return the one execution of `parts`, each decided on what those before it leave.

    The result is `{"results": [...]}`, one of each part. The first refusal is that of all, its `index` among its
    fields. A part's expected versions are those that it finds at its turn; `context` is that of all, and the keys and
    the metadata of the parts count for nothing.
    """
    streams = {stream.stream_id: stream for part in parts for stream in part.streams}
    return Execution(
        streams=list(streams.values()),
        command=tuple(parts),
        decide=_Together(streams),
        context=context,
        parts=len(parts),
    )


class _Together:
    """The decision on all parts."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams

    def __call__(self, states: States, parts: Sequence[Execution], now: datetime, new_id: NewId) -> Decision:
        current = dict(states)
        events: dict[str, tuple[DraftEvent, ...]] = {}
        results: list[JsonObject] = []
        for index, part in enumerate(parts):
            decision = _decided(part, index, current, now, new_id)
            if decision.refused:
                return _refused(decision, index)
            for stream_id, drafts in decision.events.items():
                events[stream_id] = (*events.get(stream_id, ()), *drafts)
                current[stream_id] = self._after(current[stream_id], drafts)
            results.append(decision.result)
        return Decision(events=events, result={"results": results})

    def _after(self, before: StoredState, drafts: Sequence[DraftEvent]) -> StoredState:
        apply, state = self._streams[before.stream_id].kind.apply, before.state
        for draft in drafts:
            state = apply(state, draft.event_type, draft.schema_version, draft.data)
        return replace(before, version=before.version + len(drafts), state=state)


def _decided(part: Execution, index: int, states: States, now: datetime, new_id: NewId) -> Decision:
    if refusal := part.permit(states):
        return refusal
    for stream_id, expected_version in part.context.expected_versions.items():
        if (actual_version := states[stream_id].version) != expected_version:
            raise VersionConflict(
                stream_id=stream_id, expected_version=expected_version, actual_version=actual_version, index=index
            )
    return part.decide(states, part.command, now, new_id)


def _refused(decision: Decision, index: int) -> Decision:
    # Of a command that is refused with events of its own, such as a transfer that fails, nothing happens either.
    fields = {**decision.result["fields"], "index": index}
    return Decision(result={**decision.result, "fields": fields}, refused=True)
