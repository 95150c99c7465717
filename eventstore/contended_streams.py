"""Which streams several processes write to just now."""

import time
from threading import Lock

CONTENDED_SECONDS = 1.0
OVERTAKEN_TIMES = 3
"""A stream on which a process was overtaken so often, each time within so long of the time before, is contended."""

MAX_STREAMS = 1_000


class ContendedStreams:
    """The streams on which commands of this process were decided in vain, since another process wrote first."""

    def __init__(self) -> None:
        self._lock = Lock()
        # How often a process was overtaken on a stream, and when it last was; those of long ago come first.
        self._overtaken: dict[str, tuple[int, float]] = {}

    def overtaken(self, stream_id: str) -> None:
        """Note that somebody else wrote to a stream first."""
        now = time.monotonic()
        with self._lock:
            times, last = self._overtaken.pop(stream_id, (0, now))
            self._overtaken[stream_id] = (times + 1 if now - last < CONTENDED_SECONDS else 1, now)
            if len(self._overtaken) > MAX_STREAMS:
                del self._overtaken[next(iter(self._overtaken))]

    def has(self, stream_id: str) -> bool:
        """Tell whether a command on the stream would likely be decided in vain."""
        # Asked of every command: a TTLCache, behind the lock, would take ten times as long to say no.
        found = self._overtaken.get(stream_id)
        if found is None:
            return False
        times, last = found
        return times >= OVERTAKEN_TIMES and time.monotonic() - last < CONTENDED_SECONDS
