"""States that a process knows from its last look at their streams, so that the next command need not load them.

What is kept may be stale at any time, as other processes write too, and is never shown to anybody: an append says which
version and hash it was decided on, and one decided on something stale comes back as a conflict.
"""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from django.conf import settings

from eventstore.folding import Stream, StreamKind
from eventstore.records import StoredState


class StreamCache:
    """The states used last, at most settings.EXECUTE_CACHE_STREAMS of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._states: OrderedDict[tuple[str, StreamKind], StoredState] = OrderedDict()

    def get(self, stream: Stream) -> StoredState | None:
        """Return what is known of `stream`, if anything."""
        key = (stream.stream_id, stream.kind)
        with self._lock:
            if state := self._states.get(key):
                self._states.move_to_end(key)
            return state

    def learn(self, states: Iterable[tuple[Stream, StoredState]]) -> None:
        """Keep what was read or written, unless something later is known."""
        with self._lock:
            for stream, state in states:
                key = (stream.stream_id, stream.kind)
                known = self._states.get(key)
                if known is None or known.version <= state.version:
                    self._states[key] = state
                self._states.move_to_end(key)
            while len(self._states) > settings.EXECUTE_CACHE_STREAMS:
                self._states.popitem(last=False)

    def forget(self, streams: Iterable[Stream]) -> None:
        """Forget what turned out not to be so."""
        with self._lock:
            for stream in streams:
                self._states.pop((stream.stream_id, stream.kind), None)
