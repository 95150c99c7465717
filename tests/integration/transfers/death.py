"""Ends its own process with SIGKILL, and all that began with it, at the boundary of a transfer that a test names."""

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from eventstore.postgres import PostgresEventStore
from eventstore.records import Appended, Commit
from transfers.repository import PREFIX

NOTE = "dies at "

_append = PostgresEventStore.append
_moment, _names, _stream_id = "", frozenset[str](), ""


def die_at(boundary: str) -> None:
    """Let the process die at "before TransferResumed transfer-1": about to commit such an event to that stream.

    "after TransferCompleted|TransferFailed transfer-1" is just after it has committed one of them, "before
    TransferResumed" the same of whichever transfer comes to it first.
    """
    global _moment, _names, _stream_id
    _moment, names, *stream_ids = boundary.split(" ")
    _names, _stream_id = frozenset(names.split("|")), "".join(stream_ids)


def _append_or_die(self: PostgresEventStore, commits: Sequence[Commit]) -> Any:
    _die_if_here("before", commits)
    results = _append(self, commits)
    _die_if_here("after", [one for one, result in zip(commits, results, strict=True) if isinstance(result, Appended)])
    return results


def _die_if_here(moment: str, commits: Iterable[Commit]) -> None:
    if moment != _moment:
        return
    for append in (append for commit in commits for append in commit.streams):
        names = {event.event_type for event in append.events}
        if append.stream_id.startswith(PREFIX) and names & _names and _stream_id in ("", append.stream_id):
            # In one piece, for other threads write there too.
            os.write(sys.stdout.fileno(), f"\n{NOTE}{append.stream_id}\n".encode())
            os.killpg(0, signal.SIGKILL)


PostgresEventStore.append = _append_or_die  # type: ignore[method-assign]
