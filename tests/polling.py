"""How tests wait: for a condition, up to a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

DEADLINE_SECONDS = 30.0
INTERVAL_SECONDS = 0.02


def wait_until(condition: Callable[[], Found | None], *, deadline_seconds: float = DEADLINE_SECONDS) -> Found:
    """Return the first true value of `condition()`; fail the test if there is none before the deadline."""
    give_up_at = time.monotonic() + deadline_seconds
    while not (found := condition()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"still not so after {deadline_seconds} s: {condition}")
        time.sleep(INTERVAL_SECONDS)
    return found
