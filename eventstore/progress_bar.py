"""A bar on a terminal's standard error: how far something long has come, how fast it goes and how long it will take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def progress_bar(
    *, title: str, unit: str, total: int | None, transient: bool = False
) -> Iterator[Callable[[int], None]]:
    """Give a function that is told of each so many `unit` done. Where nobody watches a terminal, nothing is drawn.

    One that is `transient` leaves nothing behind.
    """
    console = Console(stderr=True)
    is_watched = console.is_terminal
    with Progress(*columns(unit=unit), console=console, disable=not is_watched, transient=transient) as progress:
        task = progress.add_task(title, total=total)
        yield partial(progress.advance, task)


def columns(*, unit: str) -> tuple[ProgressColumn, ...]:
    """Return what a bar says: what is under way, how much of it is done, how fast, and how long it will take."""
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
    )


class _RateColumn(ProgressColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the rate of the last moments."""
        return Text(f"{task.speed:,.0f} {self._unit}/s" if task.speed else "")
