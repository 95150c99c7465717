"""What the views of the API are made of: DRF's order of checks, with Django's own requests and answers."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from rest_framework.exceptions import NotAuthenticated, ParseError, PermissionDenied, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from accounts.permissions import Permission


class ApiView(APIView):
    """A DRF view whose methods take Django's request, and return an answer that is written already.

    Authentication, permissions, throttles, parsers and error handling are DRF's, as its settings name them and in its
    order. DRF's own Request and Response are left out: they exist to negotiate among formats, and cost more than all
    the rest. An API of one format has nothing to negotiate.
    """

    permission: ClassVar[Permission]
    is_fiber: ClassVar[bool] = False
    """Whether its requests do little but wait, for what they ask of the log and the read models by prepared statements.

    Then they need no thread of their own: see bank.fibers. They have no transaction of Django's, and whatever else they
    wait for, or work at for long, keeps all of a process waiting: that is done by `eventstore.waiting.at_length`.
    """

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer `request`, unless it is refused at the door; what goes wrong goes to the exception handler."""
        try:
            self._admit(request)
            handler = getattr(self, (request.method or "").lower(), self.http_method_not_allowed)
            answer: HttpResponseBase = handler(request, *args, **kwargs)
        except Exception as error:
            answer = self.handle_exception(error)
        return answer

    def permission_denied(self, request: Any, message: str | None = None, code: str | None = None) -> NoReturn:
        """Raise NotAuthenticated where a token would have helped, PermissionDenied where it does not."""
        if self.authentication_classes and request.user is None:
            raise NotAuthenticated
        raise PermissionDenied(detail=message, code=code)

    def raise_uncaught_exception(self, exc: Exception) -> NoReturn:
        """Leave a fault of the bank to Django."""
        raise exc

    def _admit(self, request: Any) -> None:
        """Find out who sent `request`, and whether it may go on. Raises what DRF raises for one that may not."""
        request.user = request.auth = None
        for authenticator in self.get_authenticators():
            # None leaves the request to the next one.
            if (found := authenticator.authenticate(request)) is not None:
                request.user, request.auth = found
                break
        self.check_permissions(request)
        self.check_throttles(request)


def json_content(*, request: HttpRequest) -> Any:
    """Return the document that `request` holds, as DRF's parsers read it.

    Raises ParseError, UnsupportedMediaType or RequestDataTooBig. DRF would take a request without content for an empty
    object.
    """
    if request.META.get("CONTENT_LENGTH", "0") in ("", "0"):
        raise ParseError("The request has no content; send a JSON object.")
    negotiator, parsers, _ = _formats()
    # It looks at nothing but the type of the content.
    parser = negotiator.select_parser(request, parsers)  # type: ignore[arg-type]
    content_type = request.META.get("CONTENT_TYPE", "")
    if parser is None:
        raise UnsupportedMediaType(content_type)
    # Ours reads from the request, as it does from the one that DRF hands it in its stream's place.
    return parser.parse(request, content_type)  # type: ignore[arg-type]


class AnswerHeaders(ResponseHeaders):
    """Headers of which most are plain text, and need none of the work that makes headers of whatever there is."""

    def __setitem__(self, key: str, value: str | bytes | int) -> None:
        """Set a header; what might not be one is Django's to see to."""
        if type(value) is str and value.isascii() and value.isprintable():
            self._store[key.lower()] = (key, value)
        else:
            super().__setitem__(key, value)

    def setdefault(self, key: str, value: str | bytes | int) -> None:
        """Set a header, unless there is one of that name."""
        if key.lower() not in self._store:
            self[key] = value

    def items(self) -> Any:
        """Return pairs of name and value."""
        return self._store.values()

    def fill_in(self, others: ResponseHeaders) -> None:
        """Set those of `others` that are not set."""
        self._store = {**others._store, **self._store}


class JsonAnswer(HttpResponse):
    """An answer whose content is JSON already."""

    def __init__(self, content: str | bytes, *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, content_type="application/json", status=status)
        plain = AnswerHeaders({})
        plain.fill_in(self.headers)
        for name, value in headers.items():
            plain[name] = value
        self.headers = plain


def json_answer(*, content: Any, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> HttpResponse:
    """Return `content` as DRF's renderer writes it."""
    *_, renderer = _formats()
    return JsonAnswer(renderer.render(content), status=status, headers=headers)


@cache
def _formats() -> tuple[BaseContentNegotiation, list[BaseParser], BaseRenderer]:
    """Return one of each class that DRF's settings name: they keep nothing of a request."""
    # Classes by now, though its types know them by their names.
    classes: Any = api_settings
    [renderer] = classes.DEFAULT_RENDERER_CLASSES
    parsers = [parser() for parser in classes.DEFAULT_PARSER_CLASSES]
    return classes.DEFAULT_CONTENT_NEGOTIATION_CLASS(), parsers, renderer()
