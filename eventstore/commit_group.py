"""Those who execute commands in one process at the same time, and share their round trips to the log.

The first to come leads: it takes all that wait, answers them in one round, and hands over to the next that waits. So
commands gather while a round is under way; one that comes alone is carried out at once by whoever sent it.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from django.conf import settings
from greenlet import greenlet

from eventstore import metrics
from eventstore.answers import failed, unavailable
from eventstore.contended_streams import ContendedStreams
from eventstore.exceptions import OutcomeUnknown, Overloaded, StoreUnavailable
from eventstore.pending import Caller, Execution, Pending
from eventstore.round import Round
from eventstore.stream_cache import ReadEvent, StreamCache

if TYPE_CHECKING:
    from eventstore.store import EventStore

STALLED_SECONDS = 1.0
"""A round that takes longer does not keep others waiting: the next in the queue leads beside it."""


class CommitGroup:
    """The queue of commands for one log, who leads, and what is known of the log's streams."""

    def __init__(self, *, read_event: ReadEvent | None = None) -> None:
        self._read_event = read_event
        self.begin_anew()
        _groups.add(self)

    def begin_anew(self) -> None:
        """Have no command waiting, nobody leading and nothing known."""
        self.cache = StreamCache(read_event=self._read_event)
        self.contended = ContendedStreams()
        self._lock = Lock()
        self._queue: deque[Pending] = deque()
        self._leader: Caller | None = None
        self._leading: set[greenlet] = set()
        self._round_began = 0.0
        self._last_batch = 0

    def commands_waiting(self) -> int:
        """Return how many commands nobody has taken yet."""
        return len(self._queue)

    def carry_out(self, *, store: "EventStore", executions: Sequence[Execution]) -> list[Pending]:
        """Return each of `executions` with its answer, after a bounded wait. Raises Overloaded if too many wait."""
        caller = Caller(executions)
        if caller.fiber in self._leading:
            # A command inside a command: nobody else can lead while this one does.
            self._carry_out_alone(store, caller)
        else:
            self._join(caller)
            try:
                self._stay(store, caller)
            except BaseException:
                # It is stopped: its commands must not wait for it, nor the others to be led by it.
                self._leave(caller)
                self._hand_over(caller)
                raise
        # Let go of each other, or only the collector of circles would ever free them.
        pending, caller.pending = caller.pending, []
        return pending

    def _stay(self, store: "EventStore", caller: Caller) -> None:
        give_up_at = time.monotonic() + settings.EXECUTE_WAIT_SECONDS
        while not caller.has_its_answers():
            if caller.is_appointed:
                self._lead(store, caller)
            elif (seconds_left := give_up_at - time.monotonic()) > 0:
                if not caller.wait(timeout_seconds=min(seconds_left, STALLED_SECONDS)):
                    self._lead_if_nobody_does(caller)
            else:
                self._give_up(caller)

    def _carry_out_alone(self, store: "EventStore", caller: Caller) -> None:
        while open_pending := [pending for pending in caller.pending if pending.answer is None]:
            if any(pending.needs_right_of_way(self.contended) for pending in open_pending):
                take: Callable[[], Sequence[Pending]] = partial(list, open_pending)
                self._run_round_with_right_of_way(store, take, take_to_fail=take)
            else:
                self._run_round(store, open_pending)

    def _join(self, caller: Caller) -> None:
        with self._lock:
            if len(self._queue) >= settings.EXECUTE_QUEUE_COMMANDS:
                metrics.OVERLOADED.inc(len(caller.pending))
                raise Overloaded(f"{len(self._queue)} commands wait")
            self._queue.extend(caller.pending)
            if self._leader is None:
                self._appoint(caller)

    def _appoint(self, caller: Caller) -> None:
        self._leader = caller
        self._round_began = time.monotonic()
        caller.is_appointed = True

    def _lead(self, store: "EventStore", caller: Caller) -> None:
        """Do rounds until they have nothing more to do for the leader, then let the next in the queue lead."""
        batch: Sequence[Pending] = ()
        self._leading.add(caller.fiber)
        try:
            # What it lacks while it is in another's round is for that round to say.
            while caller.is_appointed and not caller.has_its_answers() and not caller.is_in_round:
                _wake_answered(batch, caller)
                batch = self._do_round(store, caller)
        finally:
            self._leading.discard(caller.fiber)
            self._hand_over(caller)
            _wake_answered(batch, caller)

    def _do_round(self, store: "EventStore", caller: Caller) -> Sequence[Pending]:
        self._let_others_come(caller)
        with_right_of_way = self._next_needs_right_of_way()
        batch: Sequence[Pending] = ()

        def take() -> Sequence[Pending]:
            nonlocal batch
            batch = self._take(with_right_of_way=with_right_of_way)
            return batch

        def take_if_still_leading() -> Sequence[Pending]:
            # Else what waits is for those who lead since, and may fare better.
            return take() if self._leader is caller else ()

        try:
            if with_right_of_way:
                self._run_round_with_right_of_way(store, take, take_to_fail=take_if_still_leading)
            else:
                self._run_round(store, take())
        except BaseException:
            # The end of what this one does, whatever it is; the others go on with who leads next.
            for pending in batch:
                _break_off(pending)
            self._leave(caller)
            self._put_back(batch)
            _wake_answered(batch, caller)
            raise
        self._put_back(batch)
        return batch

    def _run_round(self, store: "EventStore", batch: Sequence[Pending]) -> None:
        if batch:
            Round(store=store, cache=self.cache, contended=self.contended, batch=batch).run()

    def _run_round_with_right_of_way(
        self,
        store: "EventStore",
        take: Callable[[], Sequence[Pending]],
        *,
        take_to_fail: Callable[[], Sequence[Pending]],
    ) -> None:
        """Do a round with those that `take` returns once the right of way is had.

        If it cannot be had, those that `take_to_fail` returns are told so.
        """
        with ExitStack() as having:
            try:
                has_heard_all = having.enter_context(store.right_of_way())
            except StoreUnavailable as error:
                for pending in take_to_fail():
                    unavailable(pending, error)
                return
            except Exception as error:
                # The leader may have nothing to do with it.
                if batch := take_to_fail():
                    failed(batch, error)
                return
            metrics.RIGHT_OF_WAY.inc()
            # Others may have taken some meanwhile, and many may have come.
            batch = take()
            for pending in batch:
                # What was known before may be stale already; what is loaded now stays as it is.
                pending.must_load |= not has_heard_all or pending.was_overtaken()
            self._run_round(store, batch)

    def _next_needs_right_of_way(self) -> bool:
        with self._lock:
            free = (pending for pending in self._queue if not pending.caller.is_in_round)
            return (first := next(free, None)) is not None and first.needs_right_of_way(self.contended)

    def _let_others_come(self, caller: Caller) -> None:
        """Let those go first that are about to send a command, as long as each look finds more of them waiting.

        Who is alone, and was alone the last time, is not kept waiting.
        """
        with self._lock:
            if self._leader is caller:
                # Nothing has stalled: a round is about to begin.
                self._round_began = time.monotonic()
        caller.let_the_ready_go_first()
        waiting = 0 if self._last_batch > 1 else 1
        while waiting < len(self._queue) < settings.EXECUTE_BATCH_COMMANDS:
            waiting = len(self._queue)
            caller.look_away()

    def _take(self, *, with_right_of_way: bool) -> list[Pending]:
        """Take those that are next, but none that would overtake what its caller sent before it.

        The first that does not fit ends the batch; one of more commands than a batch may have is a batch of its own.
        Those that need the right of way keep everybody from writing meanwhile, and are taken by themselves, with what
        their callers sent after them: that would need a round for each.
        """
        batch: list[Pending] = []
        held_back: list[Pending] = []
        taken: set[Caller] = set()
        waiting: set[Caller] = set()
        room = settings.EXECUTE_BATCH_COMMANDS
        with self._lock:
            self._round_began = time.monotonic()
            while self._queue and (self._queue[0].execution.parts <= room or not batch):
                pending = self._queue.popleft()
                if (
                    pending.caller.is_in_round
                    or pending.caller in waiting
                    or not self._is_for(pending, taken, with_right_of_way=with_right_of_way)
                ):
                    held_back.append(pending)
                    waiting.add(pending.caller)
                else:
                    batch.append(pending)
                    taken.add(pending.caller)
                    room -= pending.execution.parts
            self._queue.extendleft(reversed(held_back))
            self._last_batch = len(batch)
            for pending in batch:
                pending.caller.is_in_round = True
            metrics.QUEUE_COMMANDS.observe(len(self._queue))
            return batch

    def _is_for(self, pending: Pending, taken: Collection[Caller], *, with_right_of_way: bool) -> bool:
        """Tell whether a command belongs into a round with or without the right of way, which has some of `taken`."""
        needs_right_of_way = pending.needs_right_of_way(self.contended)
        return needs_right_of_way is with_right_of_way or (with_right_of_way and pending.caller in taken)

    def _put_back(self, batch: Sequence[Pending]) -> None:
        """Let those that are left without an answer be the first in the next round."""
        with self._lock:
            for pending in batch:
                pending.caller.is_in_round = False
            self._queue.extendleft(pending for pending in reversed(batch) if pending.answer is None)

    def _hand_over(self, caller: Caller) -> None:
        with self._lock:
            caller.is_appointed = False
            # Unless others gave it up meanwhile and lead already.
            if self._leader is caller:
                self._leader = None
            # Whoever is in a round that was given up waits for its end; whoever leads that hands over once more.
            heirs = (pending.caller for pending in self._queue if not pending.caller.is_in_round)
            if self._leader is None and (heir := next(heirs, None)):
                self._appoint(heir)
                heir.wake()

    def _lead_if_nobody_does(self, caller: Caller) -> None:
        """Take over from a leader whose round has stalled, or who is no more."""
        with self._lock:
            is_stalled = time.monotonic() - self._round_began >= STALLED_SECONDS
            # Not in a round and without its answers: its commands are in the queue.
            is_in_queue = not caller.is_in_round and not caller.has_its_answers()
            if is_stalled and is_in_queue and not caller.is_appointed:
                if self._leader:
                    self._leader.is_appointed = False
                self._appoint(caller)

    def _give_up(self, caller: Caller) -> None:
        """Answer what nobody answered in time: it was not begun, or nobody knows what became of it."""
        with self._lock:
            if caller.is_appointed:
                # In this very moment: then there is no need to wait any more.
                return
            for pending in caller.pending:
                if pending in self._queue:
                    self._queue.remove(pending)
                    metrics.OVERLOADED.inc()
                    pending.answer = pending.unknown or Overloaded("others took too long")
                elif pending.answer is None:
                    pending.answer = OutcomeUnknown("whoever carried the command out did not say what became of it")

    def _leave(self, caller: Caller) -> None:
        """Take a caller's commands out of the queue, and have none of them put back."""
        for pending in caller.pending:
            if pending.answer is None:
                pending.answer = OutcomeUnknown("its caller was stopped")
        with self._lock:
            self._queue = deque(pending for pending in self._queue if pending.caller is not caller)


def _break_off(pending: Pending) -> None:
    if pending.answer is None and pending.is_sent:
        pending.outcome_unknown(OutcomeUnknown("whoever wrote it was stopped"))


def _wake_answered(batch: Sequence[Pending], leader: Caller) -> None:
    for caller in {pending.caller for pending in batch}:
        if caller is not leader and caller.has_its_answers():
            caller.wake()


def _begin_anew_after_fork() -> None:
    """Forget who waited and who led in the process that this one was forked from: its threads are not here."""
    for group in list(_groups):
        group.begin_anew()


_groups: WeakSet[CommitGroup] = WeakSet()
os.register_at_fork(after_in_child=_begin_anew_after_fork)
