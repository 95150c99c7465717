"""A connection that a client keeps is good for its next request, whatever became of the one before."""

import httpx
import pytest

REQUESTS = 60


@pytest.mark.parametrize("path", ["/nope", "/api/accounts/not%20an%20id/deposits"])
def test_a_refused_request_leaves_its_connection_usable(api, path):
    with httpx.Client(base_url=api.base_url) as client:
        for _ in range(REQUESTS):
            refused = client.post(path, content=b"x" * 50_000)
            assert refused.is_client_error
            assert "connection" not in refused.headers
            assert client.get("/health/live").is_success


def test_the_connection_of_content_that_is_too_large_is_announced_to_end(api):
    with httpx.Client(base_url=api.base_url) as client:
        refused = client.post("/api/accounts", content=b"x" * 3_000_000, headers={"Content-Type": "application/json"})
        assert (refused.status_code, refused.headers["connection"]) == (413, "close")
        assert client.get("/health/live").is_success
