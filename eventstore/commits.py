"""From a decision to the commit that the store is given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.conf import settings

from eventstore.chain import chain_hashes
from eventstore.exceptions import InvalidAppend
from eventstore.folding import States, Stream, fold_append, snapshot_of
from eventstore.records import (
    CommandContext,
    Commit,
    Decision,
    DraftEvent,
    NewCommand,
    NewEvent,
    StoredState,
    StreamAppend,
)


class Proposal(NamedTuple):
    """A commit, and what its streams are once it is in the log."""

    commit: Commit
    after: Mapping[Stream, StoredState]


def propose(
    *, streams: Sequence[Stream], states: States, decision: Decision, context: CommandContext, now: datetime
) -> Proposal:
    """Return the commit of a decision made on `states`: its events, guards on all other streams, and the verdict.

    Raises InvalidAppend for a decision that writes elsewhere, InvalidEventData for what the log cannot keep.
    """
    if not decision.events.keys() <= states.keys():
        raise InvalidAppend("a decision may only write to the streams it was made on")
    appends, snapshots, after = [], [], {}
    for stream in {stream.stream_id: stream for stream in streams}.values():
        before = states[stream.stream_id]
        append = _stream_append(before, decision.events.get(stream.stream_id, ()), context, now)
        state = fold_append(stream, before, append)
        if append.events and state.version - state.snapshot_version >= settings.SNAPSHOT_EVERY_EVENTS:
            snapshots.append(snapshot_of(stream, state))
            state = replace(state, snapshot_version=state.version)
        appends.append(append)
        after[stream] = state
    command = _new_command(decision, context)
    return Proposal(commit=Commit(streams=tuple(appends), command=command, snapshots=tuple(snapshots)), after=after)


def _new_command(decision: Decision, context: CommandContext) -> NewCommand | None:
    if context.key is None:
        return None
    return NewCommand(
        key=context.key, fingerprint=context.fingerprint, result=decision.result, refused=decision.refused
    )


def _stream_append(
    state: StoredState, drafts: Sequence[DraftEvent], context: CommandContext, now: datetime
) -> StreamAppend:
    events = tuple(
        NewEvent(
            event_id=draft.event_id,
            event_type=draft.event_type,
            schema_version=draft.schema_version,
            data=draft.data,
            metadata=context.metadata,
            occurred_at=now,
        )
        for draft in drafts
    )
    return StreamAppend(
        stream_id=state.stream_id,
        expected_version=state.version,
        previous_hash=state.hash,
        events=events,
        hashes=chain_hashes(stream_id=state.stream_id, version=state.version, previous_hash=state.hash, events=events),
    )
