"""What a process of a web server asks of Python and the kernel, before it serves anybody."""

import gc
import sys

from django.conf import settings

from bank.cpu_affinity import keep_to_one_cpu
from bank.niceness import step_back

SWITCH_SECONDS = 0.02
"""How long a thread may go on with Python before another one that waits asks for its turn: four times Python's own.

Most requests wait for the log or are answered before, and need not be asked. Who waits for its turn looks at the clock
that often, and each look is a switch of threads that changes nothing.
"""


def arrange_threads() -> None:
    """Have this process switch its threads less often, keep to one CPU if the settings say so, and leave it to others.

    Servers that the settings start on this machine run by then, and are not bound with it.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    if settings.WEB_CPU_AFFINITY:
        keep_to_one_cpu(directory=settings.CPU_LOCKS_DIR)
    step_back(niceness=settings.WEB_NICENESS)


NEW_OBJECTS = 20_000
"""How many more objects than were freed make Python look for circles of garbage; by itself it does so at 700."""


def settle_memory() -> None:
    """Leave all that there is by now out of the search for garbage, and search less often.

    Python finds circles of objects that nobody uses by looking at all young ones, and those that outlive two searches
    at the old ones too. Requests under way are many, and live for longer than a search is apart from the next.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
