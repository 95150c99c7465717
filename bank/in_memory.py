"""The bank that keeps nothing: one web process which opens anew at each start, with its projector as a thread."""

from threading import Event, Thread

from bank.opening import open_bank
from projections.runner import run_forever


def open_in_this_process() -> None:
    """Make the throw-away tables, fill the log and start to project it; the thread ends with the process."""
    open_bank()
    Thread(target=run_forever, kwargs={"stop": Event()}, name="projector", daemon=True).start()
