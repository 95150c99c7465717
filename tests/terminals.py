"""What a terminal was shown, for tests of what is drawn on one."""

import os


def everything_shown(watching: int) -> str:
    """Return all that is written to a terminal until nobody has it open any more; it comes in pieces, and late."""
    return b"".join(iter(lambda: _read_some(watching), b"")).decode(errors="replace")


def _read_some(watching: int) -> bytes:
    try:
        return os.read(watching, 65_536)
    except OSError:
        # Linux's way to tell that the other end is closed.
        return b""
