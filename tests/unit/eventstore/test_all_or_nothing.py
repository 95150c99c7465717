"""Several commands in one commit: each is decided on what those before it leave, and one refusal is that of all."""

from typing import Any
from uuid import uuid4

import pytest

from eventstore.all_or_nothing import all_or_nothing
from eventstore.exceptions import IdempotencyKeyReused, VersionConflict
from eventstore.execution import Execution, Stream, carry_out
from eventstore.memory import MemoryEventStore
from eventstore.records import CommandContext, CommandKey, Decision, Outcome
from tests.unit.eventstore.purses import PURSE, Take, decide, new_purse


def take(coins: int, *stream_ids: str, **context: Any) -> Execution:
    return Execution(
        streams=[Stream(stream_id=stream_id, kind=PURSE) for stream_id in stream_ids],
        command=Take(stream_ids=stream_ids, coins=coins),
        decide=lambda states, command, now, new_id: with_fields(decide(states, command, now, new_id)),
        context=CommandContext(**context),
    )


def with_fields(decision: Decision) -> Decision:
    """Return the decision as the bank's are: a refusal has fields."""
    return (
        Decision(result={**decision.result, "fields": {"why": "empty"}}, refused=True) if decision.refused else decision
    )


def together(store: MemoryEventStore, *parts: Execution, context: CommandContext | None = None) -> Outcome:
    whole = context or CommandContext(metadata={"actor": "whole"})
    return carry_out(execution=all_or_nothing(parts=parts, context=whole), store=store)


def test_each_is_decided_on_what_those_before_it_leave():
    store, one, two = MemoryEventStore(), new_purse(), new_purse()
    outcome = together(store, take(-5, one), take(5, one), take(-3, one, two, metadata={"actor": "part"}), take(3, two))
    assert outcome.result == {"results": [{"version": 1}, {"version": 2}, {"version": 3}, {"version": 2}]}
    assert (outcome.first_position, outcome.last_position) == (1, 5)
    coins = {one: [5, -5, 3], two: [3, -3]}
    for stream_id, changes in coins.items():
        events = store.read_stream(stream_id, limit=9)
        assert [event.data["coins"] for event in events] == changes
        assert {event.metadata["actor"] for event in events} == {"whole"}


def test_one_refusal_is_that_of_all_and_is_kept_under_the_key():
    store, one, two = MemoryEventStore(), new_purse(), new_purse()
    context = CommandContext(key=CommandKey(scope="test", key=str(uuid4())), fingerprint="f")
    parts = [take(-5, one), take(6, one), take(-1, two)]
    outcome = together(store, *parts, context=context)
    assert outcome.refused and outcome.result == {"code": "empty", "fields": {"why": "empty", "index": 1}}
    assert store.head_position() == 0
    carry_out(execution=take(-9, one), store=store)
    again = together(store, *parts, context=context)
    assert (again.replayed, again.result) == (True, outcome.result)
    with pytest.raises(IdempotencyKeyReused):
        together(store, *parts, context=CommandContext(key=context.key, fingerprint="g"))
    assert store.head_position() == 1


def test_a_part_that_is_not_permitted_is_refused_before_its_version_is_looked_at():
    store, one = MemoryEventStore(), new_purse()
    shut = take(-1, one, expected_versions={one: 7})
    refusal = Decision(result={"code": "shut", "fields": {}}, refused=True)
    shut = Execution(
        streams=shut.streams,
        command=shut.command,
        decide=shut.decide,
        context=shut.context,
        permit=lambda states: refusal if states[one].version else None,
    )
    assert together(store, take(-1, one), shut).result == {"code": "shut", "fields": {"index": 1}}


def test_a_version_is_that_which_a_part_finds_at_its_turn():
    store, one = MemoryEventStore(), new_purse()
    first, second = take(-1, one, expected_versions={one: 0}), take(-1, one, expected_versions={one: 1})
    together(store, first, second)
    with pytest.raises(VersionConflict) as conflict:
        together(store, take(-1, one), second)
    assert (conflict.value.expected_version, conflict.value.actual_version) == (1, 3)
    assert store.head_position() == 2
