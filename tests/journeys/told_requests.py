"""Applications that answer with what a web server has told them of the request: one by WSGI, one by RSGI."""

import os
from collections.abc import Iterator
from io import BytesIO
from threading import get_ident
from typing import Any

import django
import orjson

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")
django.setup()
# Imported late: it needs the apps that the line above set up.
from bank.rsgi_server import RsgiApplication  # noqa: E402

PIECE = b"x" * 100_000


class Pieces:
    """An answer in many pieces."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._number):
            yield PIECE

    def close(self) -> None:
        """Do nothing: it is there to be called."""


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with the request; to /pieces/9 with that many pieces instead, and to /fail not at all."""
    path = environ["PATH_INFO"]
    if path.startswith("/pieces/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Pieces(int(path.removeprefix("/pieces/")))
    if path == "/fail":
        raise RuntimeError("told to")
    has_content = "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ
    told = {
        "variables": {name: value for name, value in environ.items() if is_of_request(name)},
        "content": (environ["wsgi.input"] if has_content else BytesIO()).read().decode("latin-1"),
        "thread": get_ident(),
    }
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Twice", "1"), ("X-Twice", "2")])
    return [orjson.dumps(told)]


def is_of_request(name: str) -> bool:
    """Tell whether a variable is of the request, and not of the process."""
    names = ("PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "wsgi.url_scheme", "CONTENT_TYPE", "CONTENT_LENGTH")
    return name.startswith(("HTTP_", "REMOTE_ADDR", "REQUEST_METHOD", "SERVER_PROTOCOL")) or name in names


rsgi = RsgiApplication(wsgi)
