"""What the parser refuses to call JSON, and how the renderer writes."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import BadHeaderError
from django.test import RequestFactory, override_settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from accounts.api_view import json_answer
from bank.json_format import JsonOnly, JsonRenderer, StrictJsonParser


def parse(content: bytes, media_type: str = "application/json"):
    """Parse `content` as the parser gets it from DRF."""
    request: Any = RequestFactory().generic("POST", "/", content, content_type=media_type)
    return StrictJsonParser().parse(request, media_type)


def test_a_document():
    assert parse('{"amount": 1000, "description": "Zürich 🏦"}'.encode()) == {
        "amount": 1000,
        "description": "Zürich 🏦",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b'{"amount": 1000,}',
        b"{'amount': 1000}",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e400}',
        b'{"amount": 01}',
        b'{"description": "\\ud800"}',
        b'{"description": "\xff"}',
        b'{"description": "\x01"}',
        b"\xef\xbb\xbf{}",
        b"amount=1000",
        b'{"amount": 1, "amount": 2}',
        b'{"amount": 1, "amount": 1}',
        b'{"amount": 1, "amo\\u0075nt": 2}',
        b'{"metadata": {"a": "1", "b" :"2", "a"\n: "3"}}',
        b'[{"a": {"b": "\\":", "b": ""}}]',
        b'{"a":' * 900 + b'{"b": 1, "b": 2}' + b"}" * 900,
        b'{"a":' * 1020 + b'{"b": 1, "b": 2}' + b"}" * 1020,
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_no_document(content):
    with pytest.raises(ParseError) as refusal:
        parse(content)
    assert len(str(refusal.value.detail)) < 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"description": "say \\":\\" twice \\": and \\" :", "amount": 1}',
        b'{"a\\":": 1, "a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}',
        b'["a\\":"]',
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)
def test_what_looks_like_a_name_given_twice_and_is_none(content):
    assert parse(content) == orjson.loads(content)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"'])
def test_utf_8_may_be_named(charset):
    assert parse(b"{}", f"application/json; charset={charset}") == {}


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "us-ascii", "nonsense", ""])
def test_any_other_charset_is_refused(charset):
    with pytest.raises(UnsupportedMediaType):
        parse(b"{}", f"application/json; charset={charset}")


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_content_over_the_limit_is_not_read():
    assert parse(b'{"a": 123}') == {"a": 123}
    with pytest.raises(RequestDataTooBig):
        parse(b'{"a": 1234}')


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 3, 22, 10, 5, tzinfo=UTC), datetime(2026, 3, 22, 12, 5, 0, 999, timezone(timedelta(hours=2)))],
)
def test_times_are_written_in_utc_with_milliseconds(moment):
    assert JsonRenderer().render({"at": moment}) == b'{"at":"2026-03-22T10:05:00.000Z"}'


def test_what_has_no_form_in_the_api_is_not_given_one():
    with pytest.raises(orjson.JSONEncodeError):
        JsonRenderer().render({"amount": {1, 2}})
    assert JsonRenderer().render(None) == b""


@pytest.mark.parametrize(
    ("content_type", "is_read"),
    [
        ("application/json", True),
        ("Application/JSON;charset=utf-8", True),
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("application/jsonp", False),
    ],
)
def test_the_parser_is_for_json_alone(content_type, is_read):
    request = type("Typed", (), {"content_type": content_type})()
    assert (JsonOnly().select_parser(request, [StrictJsonParser()]) is not None) == is_read


def test_headers_of_answers_take_what_djangos_take():
    answer = json_answer(content={}, headers={"ETag": '"1"'})
    answer.headers["X-Note"] = "a"
    answer.headers.setdefault("x-note", "b")
    answer.headers.setdefault("X-More", "c")
    assert (answer["etag"], answer.headers["x-NOTE"], answer["X-More"]) == ('"1"', "a", "c")
    answer.headers["X-Number"] = 5
    answer.headers["X-Words"] = "Zürich"
    assert dict(answer.items())["X-Number"] == "5"
    for broken in ("a\nb", "a\r\nSet-Cookie: b"):
        with pytest.raises(BadHeaderError):
            answer.headers["X-Note"] = broken
    del answer.headers["X-Note"]
    assert "X-Note" not in dict(answer.items())
