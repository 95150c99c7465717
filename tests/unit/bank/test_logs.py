"""Log lines: one object each, whoever wrote it, with the names of its request and without its secrets."""

import io
import json
import logging
import logging.config
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory
from structlog.contextvars import bind_contextvars, clear_contextvars

from bank.logs import line_formatter, write_line
from bank.request_id import RequestIdMiddleware
from bank.request_record import RequestRecordMiddleware

TOKEN = "5ecret" * 8


@pytest.fixture(params=["json"])
def written(request) -> Iterator[io.StringIO]:
    """All that the root logger writes from level INFO."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(line_formatter(line_format=request.param))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def answered(view: Callable[..., HttpResponse], **headers: str) -> HttpResponseBase:
    """Send a POST with a secret in every part of it through the bank's own middleware."""
    request = RequestFactory().post(
        f"/api/accounts?token={TOKEN}",
        data=f'{{"reason":"{TOKEN}"}}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {TOKEN}", "Cookie": f"sessionid={TOKEN}", **headers},
    )
    return RequestIdMiddleware(RequestRecordMiddleware(view))(request)


def test_a_request_is_one_line_that_names_it(written):
    def view(request):
        bind_contextvars(actor="till-1", streamId="account-acc-1")
        return HttpResponse(status=201)

    answered(view, **{"X-Request-Id": "req-1", "X-Correlation-Id": "corr-1"})
    [line] = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "bank.requests",
        "method": "POST",
        "route": "none",
        "status": 201,
        "requestId": "req-1",
        "correlationId": "corr-1",
        "actor": "till-1",
        "streamId": "account-acc-1",
    }


def test_lines_of_other_libraries_bear_the_names_too_and_no_secret(written):
    def view(request):
        try:
            raise ConnectionError(f"redis://bank:{TOKEN}@valkey:6379/0 said no to Bearer {TOKEN}")
        except ConnectionError:
            # As Django does for an error: the request with its headers hangs on the record.
            logging.getLogger("django.request").error(
                "Internal Server Error: %s", request.path, exc_info=True, extra={"request": request}
            )
        structlog.stdlib.get_logger("bank").warning("odd", amount=5)
        return HttpResponse(status=500)

    answered(view, **{"X-Request-Id": "req-2"})
    error, warning, _ = lines(written)
    assert {line["requestId"] for line in lines(written)} == {"req-2"}
    assert (error["event"], error["level"], error["logger"]) == (
        "Internal Server Error: /api/accounts",
        "error",
        "django.request",
    )
    assert "redis://bank:***@valkey:6379/0 said no to Bearer ***" in error["exception"]
    assert (warning["event"], warning["level"], warning["amount"]) == ("odd", "warning", 5)
    assert TOKEN not in written.getvalue()


def test_addresses_without_a_secret_are_left_alone(written):
    logging.getLogger("bank").warning("at http://127.0.0.1:3000/admin/ and redis://valkey:6379/0, a bearer of news")
    assert lines(written)[0]["event"].startswith("at http://127.0.0.1:3000/admin/ and redis://valkey:6379/0, a bearer")


@pytest.mark.parametrize("odd", ["\ud800", 2**70, "a\nb", object()])
def test_no_value_breaks_a_line_or_loses_it(written, odd):
    structlog.stdlib.get_logger("bank").warning("odd", value=odd)
    [line] = lines(written)
    assert line["event"] == "odd" and "value" in line


@pytest.mark.parametrize("written", ["console"], indirect=True)
def test_for_people_a_line_is_text_and_still_one(written):
    structlog.stdlib.get_logger("bank").warning("odd", value="a\nb")
    [line] = written.getvalue().splitlines()
    assert "warning" in line and "odd" in line and r"value='a\nb'" in line


def test_what_machines_ask_all_the_time_is_not_logged(written):
    client = Client()
    assert client.get("/health/live").status_code == 200
    assert client.get("/nowhere").status_code == 404
    assert [(line["route"], line["status"]) for line in lines(written)] == [("none", 404)]


def test_the_settings_send_every_logger_the_same_way(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    before = logging.getLogger().handlers[:]
    try:
        logging.config.dictConfig(settings.LOGGING)
        for name in ("bank", "django.security", "celery.app.trace", "_granian", "py.warnings"):
            logging.getLogger(name).error("said")
    finally:
        logging.getLogger().handlers[:] = before
    assert [line["logger"] for line in lines(stream)] == [
        "bank",
        "django.security",
        "celery.app.trace",
        "_granian",
        "py.warnings",
    ]


@pytest.mark.parametrize("written", ["json", "console"], indirect=True)
def test_a_line_by_the_short_way_looks_like_any_other(written):
    bind_contextvars(requestId="req-1", status=1)
    try:
        write_line(logging.getLogger("bank.requests"), logging.INFO, "request", status=200, route="a\nb")
        structlog.stdlib.get_logger("bank.requests").info("request", status=200, route="a\nb")
        write_line(logging.getLogger("bank.requests"), logging.DEBUG, "too quiet")
    finally:
        clear_contextvars()
    short, long = written.getvalue().splitlines()
    if short.startswith("{"):
        assert json.loads(short).keys() == json.loads(long).keys()
        assert {**json.loads(short), "timestamp": ""} == {**json.loads(long), "timestamp": ""}
    else:
        # After the time, which is as long.
        assert short[27:] == long[27:]
        assert "request" in short
