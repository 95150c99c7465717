"""The one way to change anything: load, decide, append, and decide again on conflict."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from django.conf import settings

from eventstore.exceptions import Contention, Overloaded, StoreUnavailable
from eventstore.folding import States, Stream, StreamKind, fold_loaded, request
from eventstore.pending import Decide, Execution, NewId, Permit
from eventstore.records import CommandContext, Outcome, StoredState
from eventstore.store import EventStore, event_store

__all__ = [
    "Decide",
    "Execution",
    "NewId",
    "Permit",
    "States",
    "Stream",
    "StreamKind",
    "carry_out",
    "execute",
    "execute_many",
    "load_state",
]

NOT_CARRIED_OUT = (Contention, Overloaded, StoreUnavailable)
"""What is raised of a command that may be sent again: there is no verdict on it, or nobody knows it."""


def execute(
    *,
    streams: Sequence[Stream],
    command: Any,
    decide: Decide,
    context: CommandContext,
    permit: Permit = lambda states: None,
    store: EventStore | None = None,
) -> Outcome:
    """Decide `command` on the present state of `streams` and append the decision, once per command key.

    Commands that are executed at the same time share their round trips (see `eventstore.commit_group`); each fails or
    is decided again alone.

    A refusal is appended too, as a guard on the streams it was decided on: so one decided on stale state comes back as
    a conflict and is decided again. Precedence: other fingerprint, duplicate, permit, expected version, business rule.
    What `permit` refuses is a verdict as any other. It comes before the expected version, so that whoever may not see a
    stream does not learn its version either.

    Raises IdempotencyKeyReused, VersionConflict, Contention after settings.EXECUTE_MAX_ATTEMPTS conflicts, Overloaded
    if too many wait, StoreUnavailable, and OutcomeUnknown if the connection broke and no key tells what became of the
    append.
    """
    execution = Execution(streams=streams, command=command, decide=decide, context=context, permit=permit)
    return carry_out(execution=execution, store=store)


def carry_out(*, execution: Execution, store: EventStore | None = None) -> Outcome:
    """Do what `execute` does, with its arguments at hand as one."""
    store = store or event_store()
    store.check_may_append()
    [pending] = store.group.carry_out(store=store, executions=[execution])
    if isinstance(pending.answer, Outcome):
        return pending.answer
    raise pending.answer or AssertionError("carried out without an answer")


def execute_many(*, executions: Sequence[Execution], store: EventStore | None = None) -> list[Outcome | Exception]:
    """Execute commands, each on its own, in this order where they meet; return what `execute` returns or raises.

    They share round trips with one another, and with what others execute at the same time. Once a command could not be
    carried out, those that come well after it are not begun, and are answered Overloaded: decided without it they might
    be refused, and such a refusal is kept.
    """
    store = store or event_store()
    store.check_may_append()
    answers: list[Outcome | Exception] = []
    remaining = iter(executions)
    # No more at once than one round takes, so that others are served in between.
    while some := list(islice(remaining, settings.EXECUTE_BATCH_COMMANDS)):
        answered = _carried_out(store, some)
        answers += answered
        if any(isinstance(answer, NOT_CARRIED_OUT) for answer in answered):
            return [*answers, *(Overloaded("a command before it was not carried out") for _ in remaining)]
    return answers


def _carried_out(store: EventStore, executions: Sequence[Execution]) -> list[Outcome | Exception]:
    try:
        carried_out = store.group.carry_out(store=store, executions=executions)
    except Overloaded as error:
        return [Overloaded(*error.args) for _ in executions]
    return [pending.answer or AssertionError("carried out without an answer") for pending in carried_out]


def load_state(*, stream: Stream, store: EventStore | None = None) -> StoredState:
    """Return what `stream` folds to now, as the log has it; version 0 if it has no event."""
    store = store or event_store()
    loaded = store.load([request(stream)])
    state = fold_loaded(stream, loaded.streams[stream.stream_id])
    store.group.cache.learn([(stream, state)])
    return state
