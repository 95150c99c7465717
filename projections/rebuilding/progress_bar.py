"""How a terminal shows the progress of rebuilds, and what is printed where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress

from eventstore.progress_bar import columns
from projections.rebuilding.rebuild import Listener, Phase, RebuildProgress

LINE_EVERY_SECONDS = 5.0


@contextmanager
def shown_progress(*, stream: Any) -> Iterator[Listener]:
    """Show progress on `stream`: as a bar with rate and time left on a terminal, else in a line now and then."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    with Progress(*columns(unit="events"), console=Console(file=stream), transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    """One bar for each projection."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, told: RebuildProgress) -> None:
        """Move the bar of the projection."""
        if told.projection not in self._tasks:
            # What an earlier process did says nothing about this one's rate.
            self._tasks[told.projection] = self._progress.add_task(
                "", total=told.events_total, completed=told.events_done
            )
        self._progress.update(
            self._tasks[told.projection],
            description=f"{told.projection}: {told.phase}",
            total=told.events_total,
            completed=told.events_done,
        )


class _Lines:
    """A line when a phase begins, and every LINE_EVERY_SECONDS."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last: RebuildProgress | None = None
        self._began = (0.0, 0)
        self._next_line = 0.0

    def __call__(self, told: RebuildProgress) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        if self._last is None or self._last.projection != told.projection:
            self._began = (now, told.events_done)
        elif self._last.phase == told.phase and now < self._next_line:
            return
        self._last, self._next_line = told, now + LINE_EVERY_SECONDS
        so_far = f"{told.events_done} of {told.events_total} events{self._rate(told, now)}"
        self._stream.write(f"{told.projection}: {told.phase}, {so_far}\n")

    def _rate(self, told: RebuildProgress, now: float) -> str:
        began, done_before = self._began
        if told.phase != Phase.COPYING or told.events_done == done_before:
            return ""
        rate = (told.events_done - done_before) / max(now - began, 0.001)
        return f", {rate:,.0f}/s, {(told.events_total - told.events_done) / rate:.0f} s left"
