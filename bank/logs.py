"""What a log line looks like: one JSON object with the names of its request, whichever library wrote it."""

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

LINE_FORMATS = ("json", "console")

# Passwords in addresses (redis://user:password@host) and bearer tokens; errors of libraries may quote them.
_SECRET = re.compile(r"(://[^\s/:@]*:(?=[^\s@]+@)|\bBearer\s+)[^\s@]+", re.IGNORECASE)

_OF_EVERY_LINE: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# structlog's own loggers hand their lines to those of the standard library: one way out for everything.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_OF_EVERY_LINE,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


class _Line(logging.LogRecord):
    """A record whose message is a whole line, with all that others get on their way through structlog's processors."""


def write_line(logger: logging.Logger, level: int, event: str, /, **fields: Any) -> None:
    """Write a line that looks like any other, without secrets in `event` or `fields`, by the shortest way.

    For what is written with every request: structlog would take longer over it than most requests' own work.
    """
    if not logger.isEnabledFor(level):
        return
    line = {
        **get_contextvars(),
        **fields,
        "event": event,
        "level": logging.getLevelName(level).lower(),
        "logger": logger.name,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    logger.handle(_Line(logger.name, level, "", 0, line, None, None))


def line_formatter(*, line_format: str) -> logging.Formatter:
    """Return the formatter of all handlers; `line_format` is one of LINE_FORMATS.

    Of a record by others it takes message, level, logger and exception, but nothing that hangs on it otherwise: what
    Django attaches is the request with all its headers. Tracebacks come without the values of variables.
    """
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if line_format == "json"
        # Quoted values: what a client sends cannot begin a line of its own.
        else structlog.dev.ConsoleRenderer(
            colors=False, repr_native_str=True, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return _LineFormatter(
        foreign_pre_chain=_OF_EVERY_LINE,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            renderer,
        ],
    )


class LineHandler(logging.Handler):
    """Writes to standard error, each line by one call of the operating system: so it stays whole without a lock.

    A lock would be held while the system writes and other threads go on, and they would all come to wait for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stream = sys.stderr
        try:
            self._file: int | None = self._stream.fileno()
        except OSError:
            # Something else stands in its place.
            self._file = None

    def createLock(self) -> None:
        """Have none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line that `record` is."""
        try:
            line = self.format(record) + "\n"
            if self._file is None:
                self._stream.write(line)
                return
            unwritten = line.encode(errors="backslashreplace")
            while unwritten:
                unwritten = unwritten[os.write(self._file, unwritten) :]
        except Exception:
            self.handleError(record)


class _LineFormatter(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter, which finds nothing more to do about a line but to write it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line that `record` is."""
        if not isinstance(record, _Line):
            return super().format(record)
        line: Any = record.msg
        # A copy: there may be another handler.
        return str(self.processors[-1](None, record.levelname.lower(), dict(line)))


def _without_secrets(logger: WrappedLogger, method_name: str, event_dict: EventDict) -> EventDict:
    for name in ("event", "exception"):
        if isinstance(text := event_dict.get(name), str):
            event_dict[name] = _SECRET.sub(r"\1***", text)
    return event_dict


def _json(event_dict: EventDict, **_: Any) -> str:
    try:
        return orjson.dumps(event_dict, default=repr).decode()
    except TypeError:
        # A lone surrogate or a very large number: orjson knows neither, and a line must not be lost for it.
        return json.dumps(event_dict, default=repr)
