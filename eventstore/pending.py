"""A command on its way from who asks for it to its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from greenlet import getcurrent

from eventstore.contended_streams import ContendedStreams
from eventstore.exceptions import OutcomeUnknown, VersionConflict
from eventstore.folding import States, Stream
from eventstore.new_ids import new_id
from eventstore.records import CommandContext, Decision, Outcome
from eventstore.waiting import new_waiter

NewId: TypeAlias = Callable[[], UUID]
Decide: TypeAlias = Callable[[States, Any, datetime, NewId], Decision]
"""`decide(states, command, now, new_id)`: pure; it reads no clock, no random, no thread-local and no database."""
Permit: TypeAlias = Callable[[States], Decision | None]
"""The refusal that keeps the sender of a command from its streams, or None; as pure as `decide`."""

ATTEMPTS_TO_BE_OVERTAKEN = 2
"""Whoever writes all the time would overtake whoever has to decide again, every time: after so many it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What `execute` is asked to do: see there. One that is several commands at once says how many, in `parts`."""

    streams: Sequence[Stream]
    command: Any
    decide: Decide
    context: CommandContext
    permit: Permit = lambda states: None
    parts: int = 1


class Caller:
    """Who waits for the answers to its commands: a thread or a fiber. It is woken to take them, or to lead.

    `is_in_round` says that a round under way has some of its commands: those that it sent later wait for that.
    """

    def __init__(self, executions: Sequence[Execution]) -> None:
        # Outside of fibers it is the same for all that a thread does.
        self.fiber = getcurrent()
        self.pending = [Pending(execution=execution, caller=self) for execution in executions]
        self.is_appointed = False
        self.is_in_round = False
        self._waiter = new_waiter()

    def has_its_answers(self) -> bool:
        """Return whether there is nothing left to wait for."""
        # Asked several times by everybody: a loop takes half as long as a generator.
        for pending in self.pending:
            if pending.answer is None:
                return False
        return True

    def wake(self) -> None:
        """Let it look how things stand."""
        self._waiter.wake()

    def wait(self, *, timeout_seconds: float) -> bool:
        """Wait until woken, or for so long; tell whether it was woken."""
        return self._waiter.wait(timeout_seconds=timeout_seconds)

    def let_the_ready_go_first(self) -> None:
        """Let those go first that this one's thread has only to turn to."""
        self._waiter.let_the_ready_go_first()

    def look_away(self) -> None:
        """Let whoever is about to send a command do so, for a moment."""
        self._waiter.look_away()


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """An execution that waits for its answer: the outcome, or what is raised to who asked, `caller`.

    `must_load` distrusts every state that is at hand. `is_sent` says that an append of it is under way, and `unknown`
    that of an earlier one nobody knows what became.
    """

    execution: Execution
    caller: Caller
    attempts: int = 0
    must_load: bool = False
    is_sent: bool = False
    unknown: OutcomeUnknown | None = None
    answer: Outcome | Exception | None = None

    def claims(self) -> set[object]:
        """Return what nobody may have while this one waits: its streams for its caller, and its key for all.

        Whoever sent several commands meant them in this order, and a key is that of the first that has it.
        """
        claims: set[object] = {(self.caller, stream.stream_id) for stream in self.execution.streams}
        if self.execution.context.key:
            claims.add(self.execution.context.key)
        return claims

    def was_overtaken(self) -> bool:
        """Tell whether it was decided in vain so often that others must let it go first."""
        return self.attempts >= ATTEMPTS_TO_BE_OVERTAKEN

    def needs_right_of_way(self, contended: ContendedStreams) -> bool:
        """Tell whether another process would likely write first to one of its streams, or has, again and again."""
        if self.was_overtaken():
            return True
        for stream in self.execution.streams:
            if contended.has(stream.stream_id):
                return True
        return False

    def outcome_unknown(self, error: OutcomeUnknown) -> None:
        """Note that an append may or may not have happened: only the command key can tell, now or at the next."""
        self.is_sent = False
        # An error of its own, as others may be told the same: it is raised in the thread of each.
        unknown = OutcomeUnknown(*error.args)
        unknown.__cause__ = error
        if self.execution.context.key is None:
            self.answer = unknown
        else:
            self.unknown, self.must_load = unknown, True

    def decided_on(self, states: States) -> tuple[Decision, datetime]:
        """Return the decision on `states` and when it happens. Raises VersionConflict and what the decision raises."""
        asked = self.execution
        refusal = asked.permit(states)
        if refusal is None:
            _check_expected_versions(states, asked.context.expected_versions)
        now = _business_time(states, asked.context)
        return refusal or asked.decide(states, asked.command, now, new_id), now


def _check_expected_versions(states: States, expected_versions: Mapping[str, int]) -> None:
    for stream_id, expected_version in expected_versions.items():
        if states[stream_id].version != expected_version:
            raise VersionConflict(
                stream_id=stream_id, expected_version=expected_version, actual_version=states[stream_id].version
            )


def _business_time(states: States, context: CommandContext) -> datetime:
    """Return when the command happens: never before what happened already in its streams, whatever the clocks say."""
    heads = [state.occurred_at for state in states.values() if state.occurred_at]
    return max([context.occurred_at or datetime.now(UTC), *heads])
