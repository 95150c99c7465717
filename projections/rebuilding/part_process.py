"""A process that fills parts of a shadow: started by the one that rebuilds, and gone when that is.

It imports nothing at first: Django is only set up when it begins.
"""

import os
import signal
import threading
import time
from multiprocessing.synchronize import Event
from typing import Any

LOOK_SECONDS = 0.2

_told_to_stop: Event | None = None


def begin(parent: int, stop: Event, database: str, projection: str) -> None:
    """Prepare: let others see that it is at it, and leave Ctrl-C to the process that started it."""
    global _told_to_stop
    _told_to_stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import django

    django.setup()
    from django.db import connection

    from projections.rebuilding.shadows import run

    # That of the tests is not the one that the environment names.
    connection.settings_dict["NAME"] = database
    run("begin_rebuilding")
    run("fill_a_part", projection=projection)


def fill(projector: Any, part_id: int) -> None:
    """Fill a part, for as long as the process that started this one wants it to. Raises the database's errors."""
    from projections.rebuild_models import RebuildPart
    from projections.rebuilding.copying import Copying

    copying = Copying(projector=projector, part=RebuildPart.objects.select_related("rebuild").get(pk=part_id))
    while not (_told_to_stop and _told_to_stop.is_set()) and copying.next_batch():
        pass


def _end_with(parent: int) -> None:
    """End at once when the process that started this one has died: the batch at hand is then as if it had not begun."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
