"""Which streams several processes write to just now."""

import time
from threading import Lock

from cachetools import TTLCache

CONTENDED_SECONDS = 1.0
OVERTAKEN_TIMES = 3
"""A stream on which a process was overtaken so often, each time within so long of the time before, is contended."""

MAX_STREAMS = 1_000


class Contention:
    """The streams on which commands of this process were decided in vain, since another process wrote first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._overtaken: TTLCache[str, int] = TTLCache(
            maxsize=MAX_STREAMS, ttl=CONTENDED_SECONDS, timer=lambda: time.monotonic()
        )

    def overtaken(self, stream_id: str) -> None:
        """Note that somebody else wrote to a stream first."""
        with self._lock:
            self._overtaken[stream_id] = self._overtaken.get(stream_id, 0) + 1

    def is_contended(self, stream_id: str) -> bool:
        """Tell whether a command on the stream would likely be decided in vain."""
        with self._lock:
            return self._overtaken.get(stream_id, 0) >= OVERTAKEN_TIMES
