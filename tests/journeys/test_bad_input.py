"""Whatever a client sends that cannot be, the answer is a problem of the client's, and the log stays as it was."""

import socket
from typing import Any
from uuid import uuid4

import httpx
import pytest

from eventstore.store import event_store
from tests.journeys.account_api import open_account, problem

JSON = {"Content-Type": "application/json"}
LARGEST = 2**53 - 1
COMMANDS = ("/api/accounts", "/api/accounts/{}/deposits")


@pytest.fixture(scope="module")
def account_id(api) -> str:
    """An account with USD 10.00 that no bad input may change."""
    return open_account(api, balance=1000)


@pytest.fixture(autouse=True)
def unchanged_log(account_id):
    """Fail the test if its input left an event, in whatever stream."""
    head = event_store().head_position()
    yield
    assert event_store().head_position() == head


def send(
    api: httpx.Client, account_id: str, content: str | bytes, step: str = "deposits", **headers: str
) -> httpx.Response:
    """Send `content` just as it is."""
    return api.post(f"/api/accounts/{account_id}/{step}", content=content, headers=JSON | headers)


def only_error(response: httpx.Response) -> Any:
    """Return the one error of a validation_error."""
    [error] = problem(response, status=400, code="validation_error")["errors"]
    assert error["detail"]
    return error


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("1000.0", "not_an_integer"),
        ("0.5", "not_an_integer"),
        ("1e3", "not_an_integer"),
        ('"1000"', "not_an_integer"),
        ("true", "not_an_integer"),
        ("false", "not_an_integer"),
        ("[1000]", "not_an_integer"),
        ('{"value": 1000}', "not_an_integer"),
        ("null", "null"),
        ("-1", "too_small"),
        ("0", "too_small"),
        ("-0", "too_small"),
        (str(LARGEST + 1), "too_large"),
        (str(2**63), "too_large"),
        (str(2**64), "too_large"),
        ("9" * 300, "too_large"),
        (str(-(2**64)), "too_small"),
    ],
)
@pytest.mark.parametrize("step", ["deposits", "withdrawals"])
def test_amounts(api, account_id, step, amount, code):
    response = send(api, account_id, f'{{"amount": {amount}, "currency": "USD"}}', step)
    error = only_error(response)
    assert (error["pointer"], error["code"]) == ("/amount", code)


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ('"currency": "XYZ"', "/currency", "unknown_currency"),
        ('"currency": "usd"', "/currency", "unknown_currency"),
        ('"currency": 840', "/currency", "not_a_string"),
        ('"currency": ""', "/currency", "blank"),
        ('"memo": "rent"', "/memo", "unknown_field"),
        ('"AMOUNT": 1', "/AMOUNT", "unknown_field"),
        ('"a/b~": 1', "/a~1b~0", "unknown_field"),
        ('"transactionId": null', "/transactionId", "null"),
        ('"transactionId": 7', "/transactionId", "not_a_string"),
        ('"transactionId": "a\\u0000b"', "/transactionId", "control_character"),
        ('"transactionId": "a\\nb"', "/transactionId", "control_character"),
        (f'"transactionId": "{"x" * 256}"', "/transactionId", "too_long"),
        ('"description": "\\u0000"', "/description", "control_character"),
        (f'"description": "{"x" * 501}"', "/description", "too_long"),
        ('"description": ["rent"]', "/description", "not_a_string"),
        ('"actor": "\\u001b[31m"', "/actor", "control_character"),
        ('"commandId": ""', "/commandId", "blank"),
        ('"expectedVersion": "1"', "/expectedVersion", "not_an_integer"),
        ('"expectedVersion": -1', "/expectedVersion", "too_small"),
        ('"expectedVersion": 1.0', "/expectedVersion", "not_an_integer"),
        ('"metadata": []', "/metadata", "not_an_object"),
        ('"metadata": {"a": 1}', "/metadata/a", "not_a_string"),
        ('"metadata": {"a": {"b": "c"}}', "/metadata/a", "not_a_string"),
        ('"metadata": {"a": "\\u0000"}', "/metadata/a", "control_character"),
        ('"metadata": {"a\\u0000": "b"}', "/metadata/a\0", "control_character"),
        (f'"metadata": {{"a": {"[" * 500 + "]" * 500}}}', "/metadata/a", "not_a_string"),
    ],
)
def test_other_fields(api, account_id, fields, pointer, code):
    known = '"amount": 1' if "currency" in fields else '"amount": 1, "currency": "USD"'
    error = only_error(send(api, account_id, f"{{{known}, {fields}}}"))
    assert (error["pointer"], error["code"]) == (pointer, code)


def test_missing_fields_are_all_named(api, account_id):
    errors = problem(send(api, account_id, "{}"), status=400, code="validation_error")["errors"]
    assert {(error["pointer"], error["code"]) for error in errors} == {
        ("/amount", "required"),
        ("/currency", "required"),
    }


@pytest.mark.parametrize("identifier", ["", "a b", "a/b", "ä", "x" * 65, "a\0", "a\n"])
def test_identifiers_of_a_new_account(api, identifier):
    content = {"accountId": identifier, "ownerId": "user-1", "currency": "USD"}
    error = only_error(api.post("/api/accounts", json=content))
    assert (error["pointer"], error["code"]) == ("/accountId", "bad_identifier")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"ownerId": None}, "/ownerId", "null"),
        ({"ownerId": ""}, "/ownerId", "bad_identifier"),
        ({"ownerId": 7}, "/ownerId", "not_a_string"),
        ({"ownerId": "user\0"}, "/ownerId", "bad_identifier"),
        ({"currency": "XYZ"}, "/currency", "unknown_currency"),
        ({"currency": "XAU"}, "/currency", "unknown_currency"),
        ({"currency": None}, "/currency", "null"),
        ({"balance": 1000}, "/balance", "unknown_field"),
        ({"commandId": "x" * 256}, "/commandId", "too_long"),
        ({"expectedVersion": 0.0}, "/expectedVersion", "not_an_integer"),
        ({"metadata": {"a": None}}, "/metadata/a", "not_a_string"),
        ({"description": "a\0"}, "/description", "control_character"),
    ],
)
def test_fields_of_a_new_account(api, fields, pointer, code):
    content = {"accountId": f"acc-{uuid4()}", "ownerId": "user-1", "currency": "USD"} | fields
    error = only_error(api.post("/api/accounts", json=content))
    assert (error["pointer"], error["code"]) == (pointer, code)


@pytest.mark.parametrize("in_path", ["a%20b", "a%00b", "%FF", "%E4", "x" * 65, "a+b", "a%0Ab"])
def test_identifiers_in_the_path(api, in_path):
    for response in (send(api, in_path, '{"amount": 1, "currency": "USD"}'), api.get(f"/api/accounts/{in_path}")):
        error = only_error(response)
        assert (error["parameter"], error["code"]) == ("accountId", "bad_identifier")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"{",
        b"amount=1000&currency=USD",
        b'{"amount": 1000, "currency": "USD"',
        b'{"amount": 1000, "currency": "USD",}',
        b'{"amount": NaN, "currency": "USD"}',
        b'{"amount": Infinity, "currency": "USD"}',
        b'{"amount": 1e999, "currency": "USD"}',
        b'{"amount": 1, "currency": "USD", "description": "\\ud800"}',
        b'{"amount": 1, "currency": "USD", "description": "\\udc00\\ud800"}',
        b'{"amount": 1, "currency": "USD", "description": "\xed\xa0\x80"}',
        b'{"amount": 1, "currency": "USD", "description": "\xff"}',
        b'{"amount": 1, "currency": "USD", "description": "\x00"}',
        b'{"amount": 1, "currency": "USD", "metadata": ' + b'{"a": ' * 100_000,
        b"[" * 500_000 + b"]" * 500_000,
    ],
)
@pytest.mark.parametrize("url", COMMANDS)
def test_what_is_not_json(api, account_id, url, content):
    response = api.post(url.format(account_id), content=content, headers=JSON)
    problem(response, status=400, code="malformed_json")


@pytest.mark.parametrize("url", [*COMMANDS, "/api/transfers"])
def test_a_command_takes_no_parameters(api, account_id, url):
    """Whoever sends one expects it to count; and it would be no part of what the key stands for."""
    content = {"amount": 1, "currency": "USD"}
    for name in ("minVersion", "amount", "commandId", "x" * 100):
        response = api.post(url.format(account_id), params={name: "1"}, json=content)
        [error] = problem(response, status=400, code="validation_error")["errors"]
        assert (error["parameter"], error["code"]) == (name[:64], "unknown_field")


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "1000", "true", '[{"amount": 1000}]'])
@pytest.mark.parametrize("url", COMMANDS)
def test_json_that_is_no_object(api, account_id, url, content):
    error = only_error(api.post(url.format(account_id), content=content, headers=JSON))
    assert error["pointer"] == ""


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "*/*", "json"],
)
def test_other_media_types(api, account_id, content_type):
    response = send(api, account_id, b'{"amount": 1, "currency": "USD"}', **{"Content-Type": content_type})
    problem(response, status=415, code="unsupported_media_type")


def test_no_media_type_at_all(api, account_id):
    request = api.build_request(
        "POST", f"/api/accounts/{account_id}/deposits", content=b'{"amount": 1, "currency": "USD"}'
    )
    request.headers.pop("Content-Type", None)
    problem(api.send(request), status=415, code="unsupported_media_type")


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "nonsense"])
def test_other_charsets(api, account_id, charset):
    content = '{"amount": 1, "currency": "USD"}'.encode("utf-16" if charset == "utf-16" else "ascii")
    response = send(api, account_id, content, **{"Content-Type": f"application/json; charset={charset}"})
    problem(response, status=415, code="unsupported_media_type")


def pieces():
    """Yield three million bytes in a piece at a time, so that no length is announced."""
    yield b'{"description": "'
    for _ in range(300):
        yield b"x" * 10_000
    yield b'"}'


@pytest.mark.parametrize("content", [b"x" * 3_000_000, pieces], ids=["announced", "chunked"])
@pytest.mark.parametrize("url", COMMANDS)
def test_three_million_bytes(api, account_id, url, content):
    response = api.post(url.format(account_id), content=content() if callable(content) else content, headers=JSON)
    problem(response, status=413, code="payload_too_large")


def test_an_announced_length_is_refused_before_anything_comes(api):
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=20) as connection:
        connection.sendall(
            b"POST /api/accounts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 3000000000\r\n\r\n{"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_content_that_ends_before_its_announced_length(api):
    """The document is whole, but more was announced: nobody knows what the client meant to say."""
    content = f'{{"accountId": "acc-{uuid4()}", "ownerId": "user-1", "currency": "USD"}}'
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=20) as connection:
        connection.sendall(
            b"POST /api/accounts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 500\r\n\r\n" + content.encode()
        )
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"malformed_json"' in answer


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_encoded_content(api, account_id, encoding):
    response = send(api, account_id, '{"amount": 1, "currency": "USD"}', **{"Content-Encoding": encoding})
    problem(response, status=415, code="unsupported_media_type")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("/api/accounts", "GET, HEAD, OPTIONS, POST"),
        ("/api/accounts/{}", "GET, HEAD, OPTIONS"),
        ("/api/accounts/{}/deposits", "OPTIONS, POST"),
        ("/api/accounts/{}/freeze", "OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods(api, account_id, method, url, allowed):
    response = api.request(method, url.format(account_id))
    problem(response, status=405, code="method_not_allowed")
    assert response.headers["Allow"] == allowed
    options = api.options(url.format(account_id))
    assert (options.status_code, options.headers["Allow"], options.content) == (204, allowed, b"")
    assert "Content-Type" not in options.headers


def test_reading_a_command_is_not_allowed_and_head_has_no_content(api, account_id):
    problem(api.get(f"/api/accounts/{account_id}/deposits"), status=405, code="method_not_allowed")
    head = api.head("/api/accounts")
    assert (head.status_code, head.content) == (200, b"")
    assert api.head(f"/api/accounts/{account_id}/deposits").status_code == 405


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/api",
        "/api/",
        "/api/accounts/",
        "/api/accounts/{}/",
        "/api/accounts/{}/deposits/",
        "/api/nothing",
        "/health/x",
        "/api/accounts/{}/rob",
        "/api/accounts//deposits",
        "/wp-login.php",
        "/api/accounts/..%2f..%2f/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_urls(api, account_id, url, method):
    problem(api.request(method, url.format(account_id)), status=404, code="not_found")


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("limit=0", "limit", "too_small"),
        ("limit=501", "limit", "too_large"),
        ("limit=-5", "limit", "too_small"),
        ("limit=99999999999999999999999", "limit", "too_large"),
        ("limit=ten", "limit", "not_an_integer"),
        ("limit=1e2", "limit", "not_an_integer"),
        ("limit=", "limit", "not_an_integer"),
        ("limit=%00", "limit", "not_an_integer"),
        ("limit=1&limit=2", "limit", "repeated"),
        ("offset=10001", "offset", "too_large"),
        ("offset=-1", "offset", "too_small"),
        (f"offset={2**63}", "offset", "too_large"),
        ("page=2", "page", "unknown_field"),
    ],
)
def test_queries(api, account_id, query, parameter, code):
    error = only_error(api.get(f"/api/accounts/{account_id}/history?{query}"))
    assert (error["parameter"], error["code"]) == (parameter, code)


def test_more_parameters_than_anybody_needs(api):
    query = "&".join(f"p{number}=1" for number in range(2000))
    problem(api.get(f"/api/accounts?{query}"), status=400, code="validation_error")


def test_a_name_that_is_not_the_banks(api):
    error = only_error(api.get("/api/accounts", headers={"Host": "evil.example"}))
    assert error["header"] == "Host"


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256])
def test_keys_that_are_none(api, account_id, key):
    response = send(api, account_id, '{"amount": 1, "currency": "USD"}', **{"Idempotency-Key": key})
    error = only_error(response)
    assert (error["header"], error["code"]) == ("Idempotency-Key", "bad_key")


def test_errors_of_the_admin_stay_pages(api):
    assert api.get("/admin/login/").headers["Content-Type"].startswith("text/html")
    assert api.get("/static/nothing.css").headers["Content-Type"].startswith("text/html")


def test_forms_of_the_admin_are_guarded_against_forgery(api):
    page = api.get("/admin/login/")
    form = {"username": "nobody", "password": "wrong"}
    assert api.post("/admin/login/", data=form).status_code == 403
    genuine = api.post("/admin/login/", data=form | {"csrfmiddlewaretoken": page.cookies["csrftoken"]})
    assert genuine.status_code == 200
    assert "csrftoken" not in api.get("/api/accounts").cookies
