"""How the content of requests is read, between the web server and Django."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, TypeAlias

from django.conf import settings

StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

CONTENT = "bank.content"
"""Where in its environ a request has the content that it announced, if that is within the limit."""


def reading_all_content(application: Application) -> Application:
    """Read a request's content before it is answered, unless it is announced to be over the limit or turns out to be.

    A server that is left with unread content ends the connection without a word, and the next request that the client
    has sent on it is lost. Where content stays unread, the answer says that the connection ends with it.
    Chunked content gets the Content-Length that it lacks, for without one Django takes it for empty.
    """

    def read(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if CONTENT in environ:
            # The server has read it.
            return application(environ, start_response)
        limit = settings.MAX_REQUEST_BYTES
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ and bool(environ.get("wsgi.input_terminated"))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if is_chunked:
            content = _read_at_most(environ["wsgi.input"], limit + 1)
            length = len(content)
            environ["CONTENT_LENGTH"] = str(length)
            environ["wsgi.input"] = BytesIO(content)
        elif 0 < length <= limit:
            environ[CONTENT] = content = _read_at_most(environ["wsgi.input"], length)
            environ["wsgi.input"] = BytesIO(content)
        if length > limit:
            start_response = _closing_connection(start_response)
        return application(environ, start_response)

    return read


def _read_at_most(stream: Any, limit: int) -> bytes:
    pieces: list[bytes] = []
    # Mostly it comes in one.
    while limit and (piece := stream.read(limit)):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _closing_connection(start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start_response(status, [*headers, ("Connection", "close")], *more)

    return start
