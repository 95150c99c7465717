"""The database session of a rebuild: one process at a time rebuilds a projection, for as long as it is connected."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from projections.projector import Projector
from projections.rebuilding.exceptions import RebuildUnderWay
from projections.rebuilding.shadows import run

# The server notices within a second that a process has died, whatever it did for it.
PATIENCE_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.2


@contextmanager
def rebuilding_session(*, projector: Projector[Any], patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Let this thread's connection be the one that rebuilds the projection; it is closed in the end.

    Raises RebuildUnderWay if another connection is, for so long.
    """
    try:
        run("begin_rebuilding")
        give_up_at = time.monotonic() + patience_seconds
        # The processes of a rebuild that was killed end with the batch that they are at.
        while run("try_to_rebuild", projection=projector.name) == (False,) or run(
            "try_no_parts", projection=projector.name
        ) == (False,):
            if time.monotonic() >= give_up_at:
                raise RebuildUnderWay(f"{projector.name} is being rebuilt by another process")
            time.sleep(LOOK_AGAIN_SECONDS)
        yield
    finally:
        # With its locks and settings.
        connection.close()
