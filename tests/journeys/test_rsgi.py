"""What the bank is told of a request by RSGI: the same as by WSGI, whatever was sent."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.journeys.told_requests import PIECE
from tests.journeys.web_server import WebServer, running_web_server

HOST = b" HTTP/1.1\r\nHost: bank.example:81\r\nConnection: close\r\n"
REQUESTS = {
    "a path and a query": b"GET /api/a%20b%2Fc/%C3%A9;p=1?x=%20&y=a+b#z" + HOST + b"\r\n",
    "a path that is not encoded": b"GET /\xc3\xa9" + HOST + b"\r\n",
    "a query that is not encoded": b"GET /a?b=\xc3\xa9&\xd9\xa1" + HOST + b"\r\n",
    "a query that is no UTF-8": b"GET /a?b=\xff" + HOST + b"\r\n",
    "a path with NUL": b"GET /a%00b" + HOST + b"\r\n",
    "a path with dots and slashes": b"GET //a/%2e%2e/b/" + HOST + b"\r\n",
    "a whole address": b"GET http://other.example:82/a?b=1" + HOST + b"\r\n",
    "all of a server": b"OPTIONS *" + HOST + b"\r\n",
    "a method of its own": b"PROPFIND /a" + HOST + b"\r\n",
    "headers twice": b"GET /a" + HOST + b"X-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
    "empty headers": b"GET /a" + HOST + b"X-A:\r\nContent-Type:\r\n\r\n",
    "headers that are not ASCII": b"GET /a" + HOST + b"Idempotency-Key: caf\xe9\r\nX-B: caf\xc3\xa9\r\nX-C: c\r\n\r\n",
    "a header twice and one that is not ASCII": (
        b"GET /a" + HOST + b"X-A: 1\r\nX-A: 2\r\nIdempotency-Key: caf\xc3\xa9\r\n\r\n"
    ),
    "a length with an underscore": b"GET /a" + HOST + b"Content_Length: x\r\nContent_Type: y\r\n\r\n",
    "no host": b"GET /a HTTP/1.0\r\n\r\n",
    "underscores": b"GET /a" + HOST + b"X_A: 1\r\nIdempotency_Key: 2\r\n\r\n",
    "content": b"POST /a" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "no content": b"POST /a" + HOST + b"\r\n",
    "content of no length": b"POST /a" + HOST + b"Content-Length: 0\r\n\r\n",
    "content in chunks": b"POST /a" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "content of two lengths": b"POST /a" + HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "content of a length below none": b"POST /a" + HOST + b"Content-Length: -1\r\n\r\n",
    "an old version": b"GET /a HTTP/1.0\r\nHost: bank.example\r\n\r\n",
}


@pytest.fixture(scope="module")
def servers(django_db_setup, tmp_path_factory) -> Iterator[list[WebServer]]:
    with (
        running_web_server(
            var_dir=tmp_path_factory.mktemp("wsgi"), application="tests.journeys.told_requests:wsgi", interface="wsgi"
        ) as by_wsgi,
        running_web_server(
            var_dir=tmp_path_factory.mktemp("rsgi"), application="tests.journeys.told_requests:rsgi"
        ) as by_rsgi,
    ):
        yield [by_wsgi, by_rsgi]


@pytest.fixture
def by_rsgi(servers) -> WebServer:
    return servers[1]


def sent(server: WebServer, request: bytes) -> tuple[int, bytes]:
    """Return status and content of the answer to `request`, sent as it is."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), content


def told(server: WebServer, request: bytes) -> Any:
    """Return what `server` told its application of `request`; the status, if it refused it."""
    status, content = sent(server, request)
    if status != httpx.codes.OK:
        return status
    told = httpx.Response(status, content=content).json()
    return told["variables"], told["content"]


@pytest.mark.parametrize("request_name", REQUESTS)
def test_the_same_is_told_as_by_wsgi(servers, request_name):
    by_wsgi, by_rsgi = (told(server, REQUESTS[request_name]) for server in servers)
    assert by_rsgi == by_wsgi


def test_a_path_that_is_no_utf_8_is_told_as_such(by_rsgi):
    variables, _ = told(by_rsgi, b"GET /a%FFb" + HOST + b"\r\n")
    assert variables["PATH_INFO"].encode("latin-1").decode() == "/a\ufffdb"


def test_the_application_s_headers_are_sent(by_rsgi):
    answer = httpx.get(by_rsgi.url)
    assert answer.headers.get_list("X-Twice") == ["1", "2"]


def test_an_answer_in_pieces(by_rsgi):
    answer = httpx.get(f"{by_rsgi.url}/pieces/20")
    assert answer.content == PIECE * 20


def test_who_reads_slowly_keeps_no_thread(by_rsgi):
    """Nor does who leaves early: there are more of either than threads."""
    with ExitStack() as slow:
        for _ in range(10):
            answer = slow.enter_context(httpx.stream("GET", f"{by_rsgi.url}/pieces/200"))
            assert next(answer.iter_bytes(1))
        assert httpx.get(by_rsgi.url).status_code == 200
    assert "closed" not in by_rsgi.log.read_text()


def test_a_failure_of_the_application_is_answered_and_logged(by_rsgi):
    assert httpx.get(f"{by_rsgi.url}/fail").status_code == 500
    assert "told to" in by_rsgi.log.read_text()
