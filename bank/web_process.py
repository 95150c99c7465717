"""What a process of a web server asks of Python and the kernel, before it serves anybody."""

import sys

from django.conf import settings

from bank.cpu_affinity import keep_to_one_cpu

SWITCH_SECONDS = 0.02
"""How long a thread may go on with Python before another one that waits asks for its turn: four times Python's own.

Most requests wait for the log or are answered before, and need not be asked. Who waits for its turn looks at the clock
that often, and each look is a switch of threads that changes nothing.
"""


def arrange_threads() -> None:
    """Have this process switch its threads less often, and keep to one CPU if the settings say so.

    Servers that the settings start on this machine run by then, and are not bound with it.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    if settings.WEB_CPU_AFFINITY:
        keep_to_one_cpu(directory=settings.CPU_LOCKS_DIR)
