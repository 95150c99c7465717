"""One turn of a commit group: what several commands ask for is loaded, decided and appended together."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import orjson

from eventstore import metrics
from eventstore.answers import failed, replay, tried, unavailable
from eventstore.commits import Proposal, propose
from eventstore.contended_streams import ContendedStreams
from eventstore.exceptions import InvalidAppend, StoreUnavailable
from eventstore.folding import States, Stream, StreamKind, empty, fold_events, fold_loaded, request
from eventstore.pending import Pending
from eventstore.records import (
    Appended,
    AppendResult,
    CommandKey,
    Conflict,
    Decision,
    Duplicate,
    Loaded,
    Outcome,
    StoredState,
)
from eventstore.stream_cache import StreamCache

if TYPE_CHECKING:
    from eventstore.store import EventStore

StreamKey: TypeAlias = tuple[str, StreamKind]


class _Decided(NamedTuple):
    """A decision with the states it was made on; `tentative` are the streams that another one of the round changed."""

    pending: Pending
    states: States
    decision: Decision
    proposal: Proposal
    tentative: frozenset[str]


class _NotAtHand(Exception):
    """What is known of a stream is not what it will be: the command waits for the next round."""


class Round:
    """Answers each command of `batch`, or leaves it for the next round.

    Commands are decided in order, each on what the ones before it would leave. What is known may be stale, and what
    another command of the round did may not come to pass: whatever is decided on it shows in the append. An error is
    told only if it arose from nothing but what this round loaded: else the command loads all anew in the next.
    """

    def __init__(
        self, *, store: "EventStore", cache: StreamCache, contended: ContendedStreams, batch: Sequence[Pending]
    ) -> None:
        self._store = store
        self._cache = cache
        self._contended = contended
        # Those that load all anew come first, before anybody changes what they are decided on; and with them all that
        # their callers sent, so that it stays in order.
        loading = {pending.caller for pending in batch if pending.must_load}
        for pending in batch:
            pending.must_load = pending.caller in loading
        self._batch = sorted(batch, key=lambda pending: not pending.must_load)
        self._states: dict[StreamKey, StoredState | Exception] = {}
        self._just_loaded: set[StreamKey] = set()
        self._keys_looked_up: set[Pending] = set()
        self._written: dict[str, StreamKind] = {}
        self._put_off: set[Pending] = set()
        self._verdicts: dict[CommandKey, tuple[str, Outcome]] = {}
        self._overtaken: set[str] = set()

    def run(self) -> None:
        """Do one turn; who has no answer afterwards takes part in the next."""
        metrics.BATCH_COMMANDS.observe(sum(pending.execution.parts for pending in self._batch))
        self._load()
        decided, repetitions = self._decide()
        if decided:
            self._append(decided)
        for pending in repetitions:
            self._repeat(pending)
        for stream_id in self._overtaken:
            self._contended.overtaken(stream_id)
        for pending in self._batch:
            pending.is_sent = False
            if pending.answer is None:
                tried(pending)

    # --- load

    def _load(self) -> None:
        wanted: dict[str, Stream] = {}
        loading: list[Pending] = []
        streams = streams_missing = 0
        for pending in self._batch:
            missing = self._missing(pending)
            streams += len(pending.execution.streams)
            streams_missing += len(missing)
            if any(wanted.get(stream.stream_id, stream).kind is not stream.kind for stream in missing):
                # One read gives a stream for one kind of state.
                self._put_off.add(pending)
            elif missing:
                loading.append(pending)
                wanted.update((stream.stream_id, stream) for stream in missing)
        metrics.CACHE_HITS.inc(streams - streams_missing)
        if loading:
            metrics.CACHE_MISSES.inc(streams_missing)
            self._load_for(loading, wanted)

    def _missing(self, pending: Pending) -> Sequence[Stream]:
        streams = pending.execution.streams
        if pending.must_load:
            return streams
        return [stream for stream in streams if not self._is_at_hand(stream)]

    def _is_at_hand(self, stream: Stream) -> bool:
        key = (stream.stream_id, stream.kind)
        if key in self._states:
            return True
        known = self._cache.get(stream)
        if known is None and stream.presumed_new:
            known = empty(stream)
        if known is not None:
            self._states[key] = known
        return known is not None

    def _load_for(self, loading: Sequence[Pending], wanted: Mapping[str, Stream]) -> None:
        keys = {key for pending in loading if (key := pending.execution.context.key)}
        try:
            loaded = self._store.load([request(stream) for stream in wanted.values()], command_keys=list(keys))
        except StoreUnavailable as error:
            for pending in self._batch:
                unavailable(pending, error)
        except Exception as error:
            if len(loading) == 1:
                loading[0].answer = loading[0].unknown or error
                return
            # One of them asks for something that cannot be read: the others go on.
            for pending in loading:
                self._load_for([pending], {stream.stream_id: stream for stream in pending.execution.streams})
        else:
            self._take_in(loaded, loading, wanted)

    def _take_in(self, loaded: Loaded, loading: Sequence[Pending], wanted: Mapping[str, Stream]) -> None:
        learnt = []
        for stream_id, stream in wanted.items():
            key = (stream_id, stream.kind)
            self._just_loaded.add(key)
            try:
                state = fold_loaded(stream, loaded.streams[stream_id])
            except Exception as error:
                # Told to whoever is decided on this stream.
                self._states[key] = error
            else:
                self._states[key] = state
                learnt.append((stream, state))
        self._cache.learn(learnt)
        self._keys_looked_up.update(loading)
        for pending in loading:
            pending.must_load = False
            command_key = pending.execution.context.key
            if command_key and (record := loaded.commands.get(command_key)):
                replay(pending, record.fingerprint, record.outcome)

    # --- decide

    def _decide(self) -> tuple[list[_Decided], list[Pending]]:
        """Return what was decided, and the commands that repeat the key of one of those."""
        decided: list[_Decided] = []
        repetitions: list[Pending] = []
        keys: set[CommandKey] = set()
        blocked: set[object] = set()
        for pending in self._batch:
            if pending.answer is not None:
                continue
            key = pending.execution.context.key
            if pending in self._put_off or (blocked and not blocked.isdisjoint(pending.claims())):
                blocked |= pending.claims()
            elif key in keys:
                repetitions.append(pending)
            elif made := self._decided(pending):
                decided.append(made)
                if key:
                    keys.add(key)
            elif pending.answer is None:
                blocked |= pending.claims()
        return decided, repetitions

    def _decided(self, pending: Pending) -> _Decided | None:
        streams = pending.execution.streams
        if pending.attempts:
            metrics.RETRIES.inc()
        try:
            states = {stream.stream_id: self._state(stream) for stream in streams}
            tentative = self._written.keys() & states.keys()
            decision, now = pending.decided_on(states)
            proposal = propose(
                streams=streams, states=states, decision=decision, context=pending.execution.context, now=now
            )
        except Exception as error:
            if pending in self._keys_looked_up and all(
                (stream.stream_id, stream.kind) in self._just_loaded for stream in streams
            ):
                pending.answer = error
            else:
                pending.must_load = True
            return None
        for stream, after in proposal.after.items():
            if after.version != states[stream.stream_id].version:
                self._states[stream.stream_id, stream.kind] = after
                self._just_loaded.discard((stream.stream_id, stream.kind))
                self._written[stream.stream_id] = stream.kind
        return _Decided(
            pending=pending, states=states, decision=decision, proposal=proposal, tentative=frozenset(tentative)
        )

    def _state(self, stream: Stream) -> StoredState:
        if self._written.get(stream.stream_id, stream.kind) is not stream.kind:
            # As another kind of state it was changed, but this one knows nothing of that.
            self._just_loaded.discard((stream.stream_id, stream.kind))
            raise _NotAtHand
        state = self._states[stream.stream_id, stream.kind]
        if isinstance(state, Exception):
            raise state
        return state

    # --- append

    def _append(self, decided: Sequence[_Decided]) -> None:
        for one in decided:
            one.pending.is_sent = True
        try:
            results = self._store.append([one.proposal.commit for one in decided])
        except InvalidAppend as error:
            if len(decided) == 1:
                decided[0].pending.answer = error
                return
            # Nothing was written, and one of them is to blame: the others go on.
            for one in decided:
                self._append([one])
        except StoreUnavailable as error:
            for one in decided:
                unavailable(one.pending, error)
        except Exception as error:
            failed([one.pending for one in decided], error)
        else:
            self._answer(decided, results)

    def _answer(self, decided: Sequence[_Decided], results: Sequence[AppendResult]) -> None:
        appends = events = 0
        for one, result in zip(decided, results, strict=True):
            match result:
                case Appended():
                    appends += 1
                    events += sum(map(len, one.decision.events.values()))
                    self._appended(one, result)
                case Duplicate():
                    self._verdicts[result.command.key] = (result.command.fingerprint, result.command.outcome)
                    replay(one.pending, result.command.fingerprint, result.command.outcome)
                case Conflict():
                    metrics.CONFLICTS.inc()
                    self._conflicted(one, result)
        if appends:
            metrics.APPENDS.inc(appends)
            metrics.EVENTS_APPENDED.inc(events)

    def _appended(self, one: _Decided, appended: Appended) -> None:
        decision, context = one.decision, one.pending.execution.context
        if decision.refused:
            metrics.REFUSALS.labels(decision.result.get("code", "")).inc()
        outcome = Outcome(
            result=decision.result,
            refused=decision.refused,
            replayed=False,
            first_position=appended.first_position,
            last_position=appended.last_position,
        )
        one.pending.answer = outcome
        self._cache.learn(one.proposal.after.items())
        if context.key:
            self._verdicts[context.key] = (context.fingerprint, outcome)

    def _conflicted(self, one: _Decided, conflict: Conflict) -> None:
        """Learn the events that the conflict brought, and forget what it showed to be wrong.

        A stream that another command of the round changed says nothing: that command learns for both.
        """
        streams = [stream for stream in one.proposal.after if stream.stream_id not in one.tentative]
        moved = [
            stream
            for stream in streams
            if conflict.actual_versions[stream.stream_id] != one.states[stream.stream_id].version
        ]
        learnt, wrong = [], [] if moved else streams
        for stream in moved:
            self._overtaken.add(stream.stream_id)
            state = _caught_up(stream, one.states[stream.stream_id], conflict)
            if state.version == conflict.actual_versions[stream.stream_id]:
                learnt.append((stream, state))
            else:
                wrong.append(stream)
        self._cache.learn(learnt)
        self._cache.forget(wrong)
        one.pending.must_load = bool(wrong)

    def _repeat(self, pending: Pending) -> None:
        """Answer a command as the one with its key was answered, if that one has a verdict."""
        key = pending.execution.context.key
        if key and (verdict := self._verdicts.get(key)):
            fingerprint, outcome = verdict
            result = orjson.loads(orjson.dumps(outcome.result))
            replay(pending, fingerprint, outcome._replace(result=result, replayed=True))


def _caught_up(stream: Stream, before: StoredState, conflict: Conflict) -> StoredState:
    try:
        return fold_events(stream, before, conflict.unseen.get(stream.stream_id, ()))
    except Exception:
        # Whoever needs the stream loads it, and is told what is wrong with it.
        return before
