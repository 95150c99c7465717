"""States that a process knows from its last look at their streams, so that the next command need not load them.

What is kept may be stale at any time, as other processes write too, and is never shown to anybody: an append says which
version and hash it was decided on, and one decided on something stale comes back as a conflict.

Each append also tells what others wrote since the one before it. That is kept beside the states that it changes, and
folded when one is needed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from django.conf import settings

from eventstore.chain import event_hash
from eventstore.folding import Stream, StreamKind, fold_events
from eventstore.records import JsonObject, RecordedEvent, StoredState

MAX_NEWS = 100
"""A stream that others write to so often between two commands on it here is loaded again as fast as it is folded."""

ReadEvent: TypeAlias = Callable[[JsonObject], RecordedEvent]


@dataclass(slots=True)
class _Known:
    state: StoredState
    news: list[JsonObject] = field(default_factory=list)


class StreamCache:
    """The states used last, at most settings.EXECUTE_CACHE_STREAMS of them.

    `read_event` makes an event of what the process hears, if it does.
    """

    def __init__(self, *, read_event: ReadEvent | None = None) -> None:
        self._position = 0
        self._read_event = read_event
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, StreamKind], _Known] = OrderedDict()
        self._kinds: set[StreamKind] = set()

    def get(self, stream: Stream) -> StoredState | None:
        """Return what is known of `stream`, if anything."""
        key = (stream.stream_id, stream.kind)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                return None
            self._known.move_to_end(key)
            if not known.news:
                return known.state
            known.news, events = [], known.news
        state = self._folded(stream, known.state, events)
        if state is None:
            self.forget([stream])
        else:
            self.learn([(stream, state)])
        return state

    def heard_position(self) -> int | None:
        """Return up to where in the log to tell nothing any more; None if nothing of it would be of use."""
        return self._position if self._position and self._known else None

    def hear(self, events: Sequence[JsonObject], *, position: int) -> None:
        """Note what others wrote, up to `position`."""
        with self._lock:
            self._position = max(position, self._position)
            for event in events:
                for kind in self._kinds:
                    key = (event["stream_id"], kind)
                    if known := self._known.get(key):
                        known.news.append(event)
                        if len(known.news) > MAX_NEWS:
                            del self._known[key]

    def learn(self, states: Iterable[tuple[Stream, StoredState]]) -> None:
        """Keep what was read or written, unless something later is known."""
        with self._lock:
            for stream, state in states:
                key = (stream.stream_id, stream.kind)
                known = self._known.get(key)
                if known is None:
                    self._known[key] = _Known(state)
                    self._kinds.add(stream.kind)
                    continue
                if known.state.version <= state.version:
                    known.state, known.news = state, []
                self._known.move_to_end(key)
            while len(self._known) > settings.EXECUTE_CACHE_STREAMS:
                self._known.popitem(last=False)

    def forget(self, streams: Iterable[Stream]) -> None:
        """Forget what turned out not to be so."""
        with self._lock:
            for stream in streams:
                self._known.pop((stream.stream_id, stream.kind), None)

    def _folded(self, stream: Stream, state: StoredState, news: Sequence[JsonObject]) -> StoredState | None:
        """Return `state` after the events that were heard of, None if they are not what follows it."""
        if self._read_event is None:
            return None
        link, version, events = state.hash, state.version, []
        for event in map(self._read_event, news):
            if event.version <= version:
                continue
            version += 1
            link = event_hash(previous_hash=link, stream_id=event.stream_id, version=version, event=event)
            if (event.version, event.hash) != (version, link):
                return None
            events.append(event)
        try:
            return fold_events(stream, state, events)
        except Exception:
            # Whoever needs the stream loads it, and is told what is wrong with it.
            return None
