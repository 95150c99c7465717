"""What the supervisor must know of a server to run it."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol


class RunToEnd(Protocol):
    """Runs a command of the server's package to its end, as the server's account."""

    def __call__(self, command: Sequence[str], *, stdin: IO[bytes] | None = None) -> None:
        """Raises CalledProcessError if it ends with anything but 0."""


class ServerKind(Protocol):
    """A kind of server with its data in one directory; with `throw_away` the data need not survive a crash."""

    name: str
    stop_signal: signal.Signals
    environment: Mapping[str, str]
    user: str | None

    def __init__(self, *, data: Path, throw_away: bool) -> None: ...

    def prepare(self, run: RunToEnd) -> None:
        """Make the data directory ready for the next start. No process of the server is running."""

    def command(self, port: int) -> list[str]:
        """Return the command line of the server; it stays in the foreground and listens on loopback alone."""
        ...

    def is_ready(self, port: int) -> bool:
        """Say whether the server answers."""
        ...

    def url(self, port: int) -> str:
        """Return the server's address as settings take it."""
        ...
