"""New ids: as `uuid.uuid4` makes them, of random bytes that are fetched for many at once.

Whoever asks the operating system lets go of Python meanwhile, and where many threads run has to wait for it again. The
leader of a round needs an id for each event, while all others wait for the leader.
"""

import os
from collections import deque
from uuid import UUID

IDS_AT_ONCE = 256
ID_BYTES = 16


def new_id() -> UUID:
    """Return an id that nobody had before (RFC 9562, version 4)."""
    try:
        # Nobody else gets the same: a deque gives each of its elements once, whichever threads ask.
        random_bytes = _unused.popleft()
    except IndexError:
        fetched = os.urandom(ID_BYTES * IDS_AT_ONCE)
        random_bytes, *more = (fetched[at : at + ID_BYTES] for at in range(0, len(fetched), ID_BYTES))
        _unused.extend(more)
    return UUID(int=int.from_bytes(random_bytes, "big") & _RANDOM_BITS | _VERSION_4)


# As RFC 9562 has it: which bits are random, and what the others are.
_RANDOM_BITS = ~((0xF << 76) | (0x3 << 62))
_VERSION_4 = (0x4 << 76) | (0x2 << 62)
_unused: deque[bytes] = deque()
# What is left belongs to the process that fetched it.
os.register_at_fork(after_in_child=_unused.clear)
