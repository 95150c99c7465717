"""The bank that keeps nothing: one web process which opens anew at each start, with its workers as threads."""

from threading import Event, Thread

from bank.opening import open_bank
from projections.runner import run_forever
from transfers.tasks import resume_forever


def open_in_this_process() -> None:
    """Make the throw-away tables, fill the log, and start its workers; they end with the process."""
    open_bank()
    for name, work in (("projector", run_forever), ("transfers", resume_forever)):
        Thread(target=work, kwargs={"stop": Event()}, name=name, daemon=True).start()
