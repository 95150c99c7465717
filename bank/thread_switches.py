"""How long a thread may go on with Python before another one that waits asks for its turn."""

import sys

SWITCH_SECONDS = 0.02
"""Four times Python's own: most requests wait for the log or are answered before, and need not be asked.

Who waits for its turn looks at the clock that often, and each look is a switch of threads that changes nothing.
"""


def switch_threads_less_often() -> None:
    """Have this process do so."""
    sys.setswitchinterval(SWITCH_SECONDS)
