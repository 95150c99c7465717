"""JSON in and out of the API: the parser, the renderer, and no negotiation about anything else."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

import orjson
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_END_OF_NAME = re.compile(rb'"[ \t\n\r]*:')


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no lone surrogates, no depth beyond reason, no name given twice.

    Of two amounts one reader takes the first, another the last. Whole numbers from 2^64 arrive as floats, which no
    field accepts.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the document in `stream`. Raises ParseError, UnsupportedMediaType or RequestDataTooBig."""
        meta: Mapping[str, str] = stream.META  # type: ignore[attr-defined]
        if meta.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise UnsupportedMediaType(media_type or "")
        if media_type != self.media_type:
            _, parameters = parse_header_parameters(media_type or "")
            if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
                raise UnsupportedMediaType(media_type or "")
        # `body` and not `read()`: it refuses an announced length over the limit before reading anything.
        content: bytes = stream.body  # type: ignore[attr-defined]
        if len(content) < int(meta.get("CONTENT_LENGTH", 0)):
            raise ParseError("The content of the request ended before its announced length.")
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The request cannot be read as JSON: {error}.") from None
        # Cheap to count: more ends than names means that one was given twice, or that a string looks like one.
        if len(_END_OF_NAME.findall(content)) != _names_in(document):
            _require_single_names(content)
        return document


def _names_in(document: Any) -> int:
    names, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            names += len(value)
            value = value.values()
        elif type(value) is not list:
            continue
        waiting += [inner for inner in value if type(inner) in (dict, list)]
    return names


def _require_single_names(content: bytes) -> None:
    """Raise ParseError if an object in `content` has two values of one name."""

    def single(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ParseError("The request cannot be read as JSON: a name is given twice in one object.")

    try:
        json.loads(content, object_pairs_hook=single)
    except (RecursionError, ValueError):
        raise ParseError("The request cannot be read as JSON: depth limit exceeded.") from None


class JsonRenderer(BaseRenderer):
    """JSON with times as the API writes them: UTC, milliseconds, Z."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return `data` as JSON; nothing for no data."""
        return b"" if data is None else orjson.dumps(data, default=_written, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    raise TypeError(f"{type(value).__name__} has no form in this API")


class JsonOnly(BaseContentNegotiation):
    """The API speaks JSON, whatever the Accept header wishes; a content it cannot read is refused."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the content's type, None if there is none."""
        media_type = request.content_type
        if ";" in media_type or not media_type.islower():
            media_type, _ = parse_header_parameters(media_type)
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
