"""Stands between the bank and its database, and counts how often the server says that it is ready for more."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

READY_FOR_QUERY = b"Z"
HEADER_LENGTH = 5
"""A byte for the kind of a message, and four for its length, which counts itself but not the kind."""


class CountingProxy:
    """Passes bytes on in both directions; `round_trips` counts over all connections.

    Whoever connects must ask for neither TLS nor GSSAPI, so that the server speaks in messages from the start.
    """

    def __init__(self, *, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their clients."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for source, target, is_answer in ((client, server, False), (server, client, True)):
                    Thread(target=self._pass_on, args=(source, target, is_answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        unread = b""
        with suppress(OSError), source, target:
            while received := source.recv(65_536):
                if is_answer:
                    unread = self._count(unread + received)
                target.sendall(received)
            target.shutdown(socket.SHUT_RDWR)

    def _count(self, messages: bytes) -> bytes:
        """Count in whole messages, and return the beginning of the one that is not."""
        while len(messages) >= HEADER_LENGTH:
            length = 1 + int.from_bytes(messages[1:HEADER_LENGTH])
            if len(messages) < length:
                break
            if messages[:1] == READY_FOR_QUERY:
                with self._lock:
                    self.round_trips += 1
            messages = messages[length:]
        return messages


@contextmanager
def counting_proxy(*, host: str, port: int) -> Iterator[CountingProxy]:
    """Run a proxy before the server at `host` and `port`."""
    proxy = CountingProxy(host=host, port=port)
    try:
        yield proxy
    finally:
        proxy.close()
