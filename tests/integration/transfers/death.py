"""Ends its own process with SIGKILL, and all that began with it, at the boundary of a transfer that a test names."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from eventstore.postgres import PostgresEventStore
from eventstore.records import Appended, Commit
from transfers.repository import PREFIX

NOTE = "dies at "

_append = PostgresEventStore.append
_made: Counter[str] = Counter()
_moment, _number, _stream_id = "", 0, ""


def die_at(boundary: str) -> None:
    """Let the process die at "before 2 transfer-1": about to make its second commit to that stream.

    "after 2 transfer-1" is just after it, "before 1" the same of whichever transfer comes to it first.
    """
    global _moment, _number, _stream_id
    _moment, number, *stream_ids = boundary.split(" ")
    _number, _stream_id = int(number), "".join(stream_ids)
    _made.clear()


def _append_or_die(self: PostgresEventStore, commits: Sequence[Commit]) -> Any:
    for stream_id in _transfers_in(commits):
        _die_if_here("before", stream_id)
    results = _append(self, commits)
    made = [commit for commit, result in zip(commits, results, strict=True) if isinstance(result, Appended)]
    for stream_id in _transfers_in(made):
        _made[stream_id] += 1
        _die_if_here("after", stream_id)
    return results


def _transfers_in(commits: Iterable[Commit]) -> list[str]:
    appends = (append for commit in commits for append in commit.streams if append.events)
    return [append.stream_id for append in appends if append.stream_id.startswith(PREFIX)]


def _die_if_here(moment: str, stream_id: str) -> None:
    number = _made[stream_id] + (moment == "before")
    if (moment, number) == (_moment, _number) and _stream_id in ("", stream_id):
        # In one piece, for other threads write there too.
        os.write(sys.stdout.fileno(), f"\n{NOTE}{stream_id}\n".encode())
        os.killpg(0, signal.SIGKILL)


PostgresEventStore.append = _append_or_die  # type: ignore[method-assign]
