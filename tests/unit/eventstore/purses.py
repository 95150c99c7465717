"""Purses for tests of how commands are carried out together, in a log whose calls a test can hold and break."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import uuid4

from eventstore import execution as execution_module
from eventstore.execution import Execution, Stream, StreamKind
from eventstore.memory import MemoryEventStore
from eventstore.postgres import PostgresEventStore
from eventstore.records import (
    AppendResult,
    CommandContext,
    CommandKey,
    Commit,
    Decision,
    DraftEvent,
    Outcome,
    RecordedEvent,
)
from eventstore.store import EventStore
from tests.polling import wait_until

PURSE = StreamKind(
    snapshot_schema_version=1,
    initial=lambda: 0,
    apply=lambda coins, event_type, schema_version, data: coins + data["coins"],
    to_snapshot=lambda coins: {"coins": coins},
    from_snapshot=lambda state: state["coins"],
)


class Stop(BaseException):
    """The end of a thread's work, as when a process is told to end."""


@dataclass(frozen=True)
class Take:
    """Take coins from purses (or put some in, below 0); refused if they are not in all of them."""

    stream_ids: tuple[str, ...]
    coins: int


def decide(states: Any, command: Take, now: Any, new_id: Any) -> Decision:
    if any(states[stream_id].state < command.coins for stream_id in command.stream_ids):
        return Decision(result={"code": "empty"}, refused=True)
    events = {
        stream_id: (
            DraftEvent(event_id=new_id(), event_type="Taken", schema_version=1, data={"coins": -command.coins}),
        )
        for stream_id in command.stream_ids
    }
    return Decision(events=events, result={"version": states[command.stream_ids[0]].version + 1})


def raising(error: BaseException) -> Any:
    """Return what raises `error`, whatever it is called with."""

    def step(*_: object, **__: object) -> None:
        raise error

    return step


def new_purse() -> str:
    return f"purse-{uuid4()}"


def stream(stream_id: str, kind: StreamKind = PURSE, **fields: Any) -> Stream:
    return Stream(stream_id=stream_id, kind=kind, **fields)


def taking(
    *stream_ids: str, coins: int, key: str | None = None, decide: Any = decide, fingerprint: str = "f", **context: Any
) -> Execution:
    """Return a command that takes coins from each of some purses."""
    return Execution(
        streams=[stream(stream_id) for stream_id in stream_ids],
        command=Take(stream_ids=stream_ids, coins=coins),
        decide=decide,
        context=CommandContext(key=CommandKey("client", key) if key else None, fingerprint=fingerprint, **context),
    )


def putting(*stream_ids: str, coins: int = 1, **more: Any) -> Execution:
    return taking(*stream_ids, coins=-coins, **more)


def carry_out(execution: Execution, store: EventStore) -> Outcome:
    return execution_module.carry_out(execution=execution, store=store)


class HeldStore(MemoryEventStore):
    """Notes the size of each append, and lets a test hold one, or do something before or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.loads = 0
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        self.is_held = Event()
        self._go_on: Event | None = None

    def load(self, *args: Any, **keywords: Any) -> Any:
        self.loads += 1
        return super().load(*args, **keywords)

    def append(self, commits: Sequence[Commit]) -> list[AppendResult]:
        self.sizes.append(len(commits))
        if self._go_on:
            go_on, self._go_on = self._go_on, None
            self.is_held.set()
            assert go_on.wait(30)
        if self.before:
            self.before.pop(0)()
        results = super().append(commits)
        if self.after:
            self.after.pop(0)()
        return results

    @contextmanager
    def holding_the_next(self) -> Iterator[None]:
        """Let the next append stand still for as long as the block runs."""
        go_on = self._go_on = Event()
        self.is_held.clear()
        try:
            yield
        finally:
            if self._go_on is go_on:
                self._go_on = None
            go_on.set()

    def coins(self, stream_id: str) -> list[int]:
        """Return what was put in and taken out, in order."""
        return [event.data["coins"] for event in self.events(stream_id)]

    def events(self, stream_id: str) -> list[RecordedEvent]:
        return self.read_stream(stream_id, limit=100_000)


@dataclass
class Crowd:
    """Callers in threads of their own; those that come while the first one's append is held share the next call."""

    store: HeldStore = field(default_factory=HeldStore)

    def together(self, *executions: Execution, meanwhile: Callable[[], object] = lambda: None) -> list[Any]:
        """Return what each of `executions` comes to, its outcome or its error, carried out in one round, in order.

        `meanwhile` is done as all of them wait, before anything of them is loaded or decided.
        """
        with ThreadPoolExecutor(len(executions) + 1) as threads:
            with self.store.holding_the_next():
                first = threads.submit(carry_out, putting(new_purse()), self.store)
                assert self.store.is_held.wait(30)
                futures = [self._waiting(threads, execution, number) for number, execution in enumerate(executions)]
                meanwhile()
            first.result()
            return [future.exception() or future.result() for future in futures]

    def _waiting(self, threads: ThreadPoolExecutor, execution: Execution, number: int) -> Future[Outcome]:
        future = threads.submit(carry_out, execution, self.store)
        wait_until(lambda: self.store.group.commands_waiting() > number)
        return future


def elsewhere(execution: Execution, store: MemoryEventStore | PostgresEventStore) -> Outcome:
    """Carry a command out as another process does: on the same log, in a group of its own."""
    own_group, store.group = store.group, type(store.group)()
    try:
        return carry_out(execution, store)
    finally:
        store.group = own_group
