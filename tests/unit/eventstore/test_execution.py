"""Load, decide, append, and decide again: on the in-memory store, with a rival or a fault between any two steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from eventstore.chain import event_hash
from eventstore.exceptions import (
    Contention,
    IdempotencyKeyReused,
    InvalidAppend,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)
from eventstore.execution import Stream, StreamKind, execute, load_state
from eventstore.memory import MemoryEventStore
from eventstore.records import AppendResult, CommandContext, CommandKey, Commit, Decision, DraftEvent, StreamRequest

PURSE = StreamKind(
    snapshot_schema_version=1,
    initial=lambda: 0,
    apply=lambda coins, event_type, schema_version, data: coins + data["coins"],
    to_snapshot=lambda coins: {"coins": coins},
    from_snapshot=lambda state: state["coins"],
)


@dataclass(frozen=True)
class Take:
    """Take coins from a purse (or put some in, below 0); refused if they are not there."""

    stream_id: str
    coins: int


def decide(states, command, now, new_id) -> Decision:
    purse = states[command.stream_id]
    if purse.state < command.coins:
        return Decision(result={"refusedAtVersion": purse.version}, refused=True)
    draft = DraftEvent(event_id=new_id(), event_type="Taken", schema_version=1, data={"coins": -command.coins})
    return Decision(events={command.stream_id: (draft,)}, result={"version": purse.version + 1})


@dataclass
class Purse:
    """A purse in a store, and the command that takes from it."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    stream_id: str = field(default_factory=lambda: f"purse-{uuid4()}")

    def take(self, coins: int, *, key: str | None = None, **context):
        command_key = CommandKey("client", key) if key else None
        return execute(
            streams=[Stream(stream_id=self.stream_id, kind=PURSE)],
            command=Take(stream_id=self.stream_id, coins=coins),
            decide=decide,
            context=CommandContext(key=command_key, fingerprint=context.pop("fingerprint", "f"), **context),
            store=self.store,
        )

    def put(self, coins: int, **context):
        return self.take(-coins, **context)

    def events(self):
        return self.store.read_stream(self.stream_id, limit=10_000)


class InterruptedStore(MemoryEventStore):
    """Does something before or after the next append, once for each entry given."""

    def __init__(self) -> None:
        super().__init__()
        self.before_append: list[Callable[[], None]] = []
        self.after_append: list[Callable[[], None]] = []

    def append(self, commits: Sequence[Commit]) -> list[AppendResult]:
        if self.before_append:
            self.before_append.pop(0)()
        results = super().append(commits)
        if self.after_append:
            self.after_append.pop(0)()
        return results


def lose_connection() -> None:
    raise OutcomeUnknown("cut")


@pytest.fixture
def interrupted() -> Purse:
    return Purse(store=InterruptedStore())


def test_a_command_is_done_once_under_its_key():
    purse = Purse()
    first = purse.put(5, key="k")
    again = purse.put(5, key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.result == first.result == {"version": 1}
    assert again.last_position == first.last_position == first.first_position
    assert len(purse.events()) == 1


def test_a_refusal_is_a_verdict_and_stays_one():
    purse = Purse()
    refused = purse.take(5, key="k")
    purse.put(10)
    late = purse.take(5, key="k")
    assert refused.refused and late.refused
    assert late.replayed and late.result == refused.result == {"refusedAtVersion": 0}
    assert late.last_position is None
    assert not purse.take(5, key="new").refused


def test_the_fingerprint_comes_before_all_else():
    purse = Purse()
    purse.put(5, key="k")
    with pytest.raises(IdempotencyKeyReused):
        purse.take(99, key="k", fingerprint="other", expected_versions={purse.stream_id: 7})


def test_a_duplicate_comes_before_the_expected_version_and_that_before_the_rule():
    purse = Purse()
    purse.put(5, key="k", expected_versions={purse.stream_id: 0})
    assert purse.put(5, key="k", expected_versions={purse.stream_id: 0}).replayed
    with pytest.raises(VersionConflict) as conflict:
        purse.take(99, key="new", expected_versions={purse.stream_id: 0})
    assert (conflict.value.expected_version, conflict.value.actual_version) == (0, 1)
    assert purse.take(99, key="new", expected_versions={purse.stream_id: 1}).refused  # the conflict took no key


def test_a_rival_in_between_means_deciding_again(interrupted):
    interrupted.put(5)
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: rival.take(4)]
    assert interrupted.take(4).refused
    assert [event.data["coins"] for event in interrupted.events()] == [5, -4]


def test_a_refusal_on_stale_state_is_decided_again(interrupted):
    interrupted.put(1)
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: rival.put(10)]
    assert not interrupted.take(5).refused


def test_a_rival_with_the_same_key_wins_and_is_replayed(interrupted):
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: rival.put(5, key="k")]
    assert interrupted.put(5, key="k").replayed
    assert len(interrupted.events()) == 1


def test_a_rival_with_the_same_key_and_another_command_is_told_apart(interrupted):
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: rival.put(6, key="k", fingerprint="other")]
    with pytest.raises(IdempotencyKeyReused):
        interrupted.put(5, key="k")


@pytest.mark.parametrize("unseen_events", [1, 200, 201, 450])
def test_more_unseen_events_than_a_conflict_brings_are_loaded(interrupted, unseen_events):
    interrupted.put(1)
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: [rival.put(1) for _ in range(unseen_events)]]
    assert interrupted.take(1 + unseen_events).result == {"version": 2 + unseen_events}


def test_a_rival_on_a_new_stream_is_loaded(interrupted):
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)
    interrupted.store.before_append = [lambda: rival.put(7)]
    assert interrupted.put(1).result == {"version": 2}
    assert load_state(stream=Stream(stream_id=rival.stream_id, kind=PURSE), store=rival.store).state == 8


def test_endless_rivals_end_in_contention(interrupted, settings):
    settings.EXECUTE_MAX_ATTEMPTS = 3
    rival = Purse(store=interrupted.store, stream_id=interrupted.stream_id)

    def rival_again() -> None:
        interrupted.store.before_append = []
        rival.put(1)
        interrupted.store.before_append = [rival_again]

    interrupted.store.before_append = [rival_again]
    with pytest.raises(Contention):
        interrupted.put(1, key="k")
    assert len(interrupted.events()) == 3
    assert interrupted.store.load([], command_key=CommandKey("client", "k")).command is None


@pytest.mark.parametrize("fault", ["before_append", "after_append"])
def test_a_broken_connection_is_settled_by_the_key(interrupted, fault):
    setattr(interrupted.store, fault, [lose_connection])
    outcome = interrupted.put(5, key="k")
    assert outcome.replayed == (fault == "after_append")
    assert len(interrupted.events()) == 1


@pytest.mark.parametrize("fault", ["before_append", "after_append"])
def test_a_broken_connection_without_a_key_is_never_tried_again(interrupted, fault):
    setattr(interrupted.store, fault, [lose_connection])
    with pytest.raises(OutcomeUnknown):
        interrupted.put(5)
    assert len(interrupted.events()) == (fault == "after_append")


def test_an_outcome_stays_unknown_while_the_store_is_away(interrupted, monkeypatch):
    def cut() -> None:
        def away(*_, **__):
            raise StoreUnavailable("away")

        monkeypatch.setattr(interrupted.store, "load", away)
        raise OutcomeUnknown("cut")

    interrupted.store.after_append = [cut]
    with pytest.raises(OutcomeUnknown):
        interrupted.put(5, key="k")


def test_business_time_never_runs_backwards():
    purse = Purse()
    later = datetime.now(UTC) + timedelta(days=1)
    purse.put(1, occurred_at=later)
    purse.put(1, occurred_at=later - timedelta(days=3))
    purse.put(1)
    assert [event.occurred_at for event in purse.events()] == [later] * 3


def test_metadata_goes_with_each_event():
    purse = Purse()
    purse.put(1, metadata={"actor": "staff", "correlationId": "c-1"})
    assert purse.events()[0].metadata == {"actor": "staff", "correlationId": "c-1"}


def test_a_snapshot_is_written_when_the_tail_is_long_enough(settings):
    settings.SNAPSHOT_EVERY_EVENTS = 10
    purse = Purse()
    versions = []
    for _ in range(25):
        purse.put(1)
        loaded = purse.store.load([_request(purse)]).streams[purse.stream_id]
        versions.append(loaded.snapshot.version if loaded.snapshot else 0)
        assert len(loaded.tail) < 10
    assert versions == [0] * 9 + [10] * 10 + [20] * 6
    assert load_state(stream=Stream(stream_id=purse.stream_id, kind=PURSE), store=purse.store).state == 25


def test_the_chain_goes_on_from_a_snapshot(settings):
    settings.SNAPSHOT_EVERY_EVENTS = 2
    purse = Purse()
    for _ in range(5):
        purse.put(1)
    previous_hash = b""
    for event in purse.events():
        previous_hash = event_hash(
            previous_hash=previous_hash, stream_id=event.stream_id, version=event.version, event=event
        )
        assert event.hash == previous_hash


def test_a_decision_writes_only_where_it_looked():
    def stray(states, command, now, new_id):
        draft = DraftEvent(event_id=new_id(), event_type="Taken", schema_version=1, data={})
        return Decision(events={"elsewhere": (draft,)})

    purse = Purse()
    with pytest.raises(InvalidAppend):
        execute(
            streams=[Stream(stream_id=purse.stream_id, kind=PURSE)],
            command=None,
            decide=stray,
            context=CommandContext(),
            store=purse.store,
        )
    assert purse.store.head_position() == 0


def _request(purse: Purse):
    return StreamRequest(stream_id=purse.stream_id, snapshot_schema_version=PURSE.snapshot_schema_version)
