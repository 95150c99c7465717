"""Serves a WSGI application by RSGI, granian's own protocol: what mostly waits as fibers, all else in threads.

Commands wait for the log, and much longer than they work. As fibers all of them are under way at once and share what
they wait for, and nobody switches threads to wake them. Reads of one account are fibers, too. What may take long by
itself has threads, where it is in nobody's way: all other requests, and what fibers do at length (eventstore.waiting).
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from threading import get_ident
from types import MappingProxyType
from typing import Any, TypeAlias

from django.conf import settings
from django.urls import get_resolver
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # it is, by another name

from bank.api_routes import ApiRoutes, api_routes
from bank.fibers import Fibers
from bank.request_content import CONTENT, Application
from bank.web_process import settle_memory

logger = logging.getLogger(__name__)

# See PEP 3333.
_OF_EVERY_REQUEST = MappingProxyType(
    {
        "SCRIPT_NAME": "",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": True,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
)
_UNPREFIXED = frozenset({"content-type", "content-length"})
MAX_KNOWN_HEADERS = 1_000
MAX_KNOWN_HEADER_LENGTH = 64


IsFiber: TypeAlias = Callable[[str, str], bool]
"""Tells of a request's method and path whether it is a fiber; all others have threads."""


class RsgiApplication:
    """What granian calls for each request of one process."""

    def __init__(self, wsgi: Application, *, is_fiber: IsFiber | None = None) -> None:
        self._wsgi = wsgi
        self._is_fiber = is_fiber or ViewsTellWhether().is_fiber
        self._variables: dict[str, str] = {}

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Get ready in the thread that runs `loop`, before the first request."""
        self._loop = loop
        self._threads = ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="request")
        self._fibers = Fibers(loop, threads=self._threads)
        settle_memory()

    def __rsgi_del__(self, _: asyncio.AbstractEventLoop) -> None:
        """Let go of what is not needed any more, after the last request."""
        self._threads.shutdown(wait=False)
        self._fibers.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer a request; a WebSocket is refused, as there is none."""
        if scope.proto != "http":
            protocol.close(HTTPStatus.FORBIDDEN)
            return
        environ = self.environ_of(scope)
        await _take_content(environ, protocol)
        exchange = _Exchange(self._wsgi, environ, protocol, self._loop)
        if self._is_fiber(scope.method, environ["PATH_INFO"]):
            self._fibers.start(exchange.answer)
        else:
            self._threads.submit(exchange.answer)
        if not exchange.is_over.done():
            await exchange.is_over

    def environ_of(self, scope: Any) -> dict[str, Any]:
        """Return what WSGI calls the environ of a request, without its content."""
        headers = scope.headers
        host, _, port = scope.server.rpartition(":")
        environ: dict[str, Any] = {
            **_OF_EVERY_REQUEST,
            "REQUEST_METHOD": scope.method,
            "PATH_INFO": _by_bytes(scope.path),
            "QUERY_STRING": _by_bytes(scope.query_string),
            # Of an address of IPv6 the server tells the brackets, too.
            "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
            "SERVER_NAME": host.strip("[]"),
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
            "wsgi.url_scheme": scope.scheme,
        }
        fields = headers.items()
        for name, value in fields:
            variable = self._variables.get(name) or self._variable(name)
            if variable in environ:
                value = f"{environ[variable]}{';' if name == 'cookie' else ','}{value}"
            environ[variable] = value
        names = headers.keys()
        if len(names) != len({name for name, _ in fields}):
            # Of a header that is not ASCII the server tells the name alone; to leave it out would be to ignore it.
            for name in names:
                environ.setdefault(self._variable(name), "")
        # HTTP/2 has it elsewhere, and HTTP/1.0 may have none.
        environ.setdefault("HTTP_HOST", scope.authority or "")
        return environ

    def _variable(self, name: str) -> str:
        variable = name.upper().replace("-", "_")
        variable = variable if name in _UNPREFIXED else f"HTTP_{variable}"
        # Clients may send any names, and as many as they like.
        if len(name) <= MAX_KNOWN_HEADER_LENGTH and len(self._variables) < MAX_KNOWN_HEADERS:
            self._variables[name] = variable
        return variable


class ViewsTellWhether:
    """Finds the view of a request, and asks it whether its requests are fibers: see `ApiView.is_fiber`."""

    @cached_property
    def _routes(self) -> ApiRoutes:
        return api_routes(get_resolver())

    def is_fiber(self, method: str, path: str) -> bool:
        """Tell whether a request with that method for that path is a fiber."""
        if (found := self._routes.find(path)) is None:
            return False
        joined: Any = found[0].func
        # Some views are plain functions.
        view_class = getattr(joined.views.get(method), "view_class", None)
        return getattr(view_class, "is_fiber", False)


class _Exchange:
    """One request and its answer, which is made in a fiber or a thread."""

    def __init__(
        self, wsgi: Application, environ: dict[str, Any], protocol: Any, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._wsgi = wsgi
        self._environ = environ
        self._protocol = protocol
        self._loop, self._thread = loop, get_ident()
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self.is_over: asyncio.Future[None] = loop.create_future()

    def answer(self) -> None:
        """Answer the request; if that fails without any answer, the server says 500."""
        try:
            self._answer()
        except ProtocolClosed:
            # The client has left.
            pass
        except Exception:
            logger.exception("a request could not be answered")
        finally:
            if get_ident() == self._thread:
                self._end()
            else:
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self.is_over.done():
            self.is_over.set_result(None)

    def _answer(self) -> None:
        content = self._wsgi(self._environ, self._start_response)
        try:
            self._protocol.response_bytes(self._status, self._headers, b"".join(content))
        finally:
            if close := getattr(content, "close", None):
                close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self._status, self._headers = int(status[:3]), headers


def _by_bytes(text: str) -> str:
    """Return what WSGI has in place of `text`: its bytes, as if they were Latin-1."""
    return text if text.isascii() else text.encode().decode("latin-1")


async def _take_content(environ: dict[str, Any], protocol: Any) -> None:
    """Put a request's content into `environ`: of too much what shows that it is, of less than announced nothing.

    Content in chunks has no announced length: if the client leaves between two of them, those so far are all of it.
    """
    limit = settings.MAX_REQUEST_BYTES
    content = b""
    if "HTTP_TRANSFER_ENCODING" in environ:
        content = await _chunks_up_to(limit, protocol)
    elif 0 < int(environ.get("CONTENT_LENGTH") or 0) <= limit:
        # All of it, or RSGIProtocolClosed.
        with suppress(ProtocolClosed):
            content = await protocol()
        environ[CONTENT] = content
    environ["wsgi.input"] = BytesIO(content)


async def _chunks_up_to(limit: int, protocol: Any) -> bytes:
    """Return content that comes in chunks, up to the first that takes it beyond `limit`."""
    pieces: list[bytes] = []
    length = 0
    async for piece in protocol:
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return b"".join(pieces)
