"""Content is read before it is answered, in whatever pieces it comes."""

from io import BytesIO

import pytest

from bank.request_content import reading_all_content


class Pieces(BytesIO):
    """A stream that gives a few bytes at a time, as a socket does."""

    def read(self, size=-1):
        return super().read(min(size, 3) if size >= 0 else 3)


def answer(stream, settings, *, limit=10, **environ):
    """Return what the application gets to read, its environment and the headers of the answer."""
    settings.MAX_REQUEST_BYTES = limit
    seen: dict = {}
    headers: list = []

    def application(environ, start_response):
        seen.update(environ, content=environ["wsgi.input"].read())
        start_response("200 OK", [("X", "y")])
        return []

    request = {"wsgi.input": stream, "wsgi.input_terminated": True, **environ}
    reading_all_content(application)(request, lambda status, given: headers.extend(given))
    return seen, headers


@pytest.mark.parametrize("content", [b"", b"0123", b"0123456789"])
def test_announced_content_comes_whole(settings, content):
    seen, headers = answer(Pieces(content), settings, CONTENT_LENGTH=str(len(content)))
    assert seen["content"] == content
    assert headers == [("X", "y")]


def test_no_more_is_read_than_was_announced(settings):
    stream = BytesIO(b"0123456789")
    seen, _ = answer(stream, settings, CONTENT_LENGTH="4")
    assert (seen["content"], stream.tell()) == (b"0123", 4)


def test_chunked_content_gets_its_length(settings):
    seen, _ = answer(Pieces(b"01234"), settings, HTTP_TRANSFER_ENCODING="chunked")
    assert (seen["content"], seen["CONTENT_LENGTH"]) == (b"01234", "5")


def test_content_that_ends_early_keeps_its_announced_length(settings):
    seen, _ = answer(Pieces(b"0123"), settings, CONTENT_LENGTH="9")
    assert (seen["content"], seen["CONTENT_LENGTH"]) == (b"0123", "9")


def test_chunked_content_is_read_to_one_byte_over_the_limit_and_the_connection_ends(settings):
    stream = Pieces(b"x" * 50)
    seen, headers = answer(stream, settings, HTTP_TRANSFER_ENCODING="chunked")
    assert (seen["CONTENT_LENGTH"], stream.tell()) == ("11", 11)
    assert headers == [("X", "y"), ("Connection", "close")]


def test_what_is_announced_to_be_too_much_is_not_read_and_the_connection_ends(settings):
    seen, headers = answer(Pieces(b"x" * 50), settings, CONTENT_LENGTH="50")
    assert len(seen["content"]) == 3  # by the application itself
    assert headers == [("X", "y"), ("Connection", "close")]


def test_a_request_without_content_is_not_read(settings):
    stream = Pieces(b"of the next request")
    answer(stream, settings)
    assert stream.tell() <= 3  # what the application itself read
