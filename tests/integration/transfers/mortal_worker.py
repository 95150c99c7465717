"""A process of its own that does the jobs it reads, and at a boundary of an append stands still to be killed."""

import json
import signal
import sys
from typing import Any

import django

django.setup()

from eventstore.postgres import PostgresEventStore  # noqa: E402
from eventstore.records import CommandContext, CommandKey  # noqa: E402
from transfers.domain.commands import InitiateTransfer  # noqa: E402
from transfers.handlers import initiate_transfer  # noqa: E402
from transfers.tasks import resume_stopped_transfers  # noqa: E402

append = PostgresEventStore.append
appends_to_come: int | None = None
stands_after = False


def append_or_stand_still(self: PostgresEventStore, commits: Any) -> Any:
    global appends_to_come
    is_boundary = appends_to_come == 1
    if appends_to_come is not None:
        appends_to_come -= 1
    if is_boundary and not stands_after:
        stand_still()
    results = append(self, commits)
    if is_boundary and stands_after:
        stand_still()
    return results


def stand_still() -> None:
    print("standing still", flush=True)
    signal.pause()


def main() -> None:
    """Do the jobs on standard input, one JSON object a line: a transfer, or nothing for what has stopped."""
    global appends_to_come, stands_after
    PostgresEventStore.append = append_or_stand_still  # type: ignore[method-assign]
    for line in sys.stdin:
        job = json.loads(line)
        appends_to_come, stands_after = job["boundary"] or (None, False)
        if job["transfer"] is None:
            resume_stopped_transfers()
        else:
            command = InitiateTransfer(**job["transfer"])
            key = CommandKey("test-client", command.transfer_id)
            initiate_transfer(command=command, context=CommandContext(key=key, fingerprint="first"))
    print("done", flush=True)


main()
