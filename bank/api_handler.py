"""The WSGI handler: Django's, with a short way for the API."""

from collections.abc import Callable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.utils.log import log_response

from bank.dead_connections import drop_dead_connections
from bank.middleware import is_for_the_api
from bank.request_content import CONTENT


class BankHandler(WSGIHandler):
    """Leaves out, for the API, what Django does around its middleware for the sake of pages, files and listeners.

    These are signals that nobody but `drop_dead_connections` listens to, and a URL table and prefix for the thread. The
    web server gets an answer's content as one, and has nothing to close: no request of the API brings files.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer the request in `environ`."""
        if not is_for_the_api(environ.get("PATH_INFO", "")):
            return super().__call__(environ, start_response)
        drop_dead_connections()
        request = self.request_class(environ)
        if (content := environ.get(CONTENT)) is not None:
            # It was read and measured: Django would do both again.
            request._body = content
        response = self._middleware_chain(request)  # type: ignore[attr-defined]
        if response.status_code >= 500:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        headers = list(response.items())
        headers += [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return response if response.streaming else [response.content]
