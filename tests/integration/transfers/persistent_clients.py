"""Clients that ask again and again, under one key, until they are answered."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from tests.journeys.web_server import answers
from tests.polling import wait_until

Content = dict[str, Any]

MAX_TRIES = 1_000


@dataclass
class Clients:
    """Send each request again and again, under its key, until it is answered."""

    http: httpx.Client
    unanswered: int = 0

    def post(self, path: str, content: Content, *, key: str, death: str | None = None) -> httpx.Response:
        """Return the answer; only the first time, the process that takes the request is to die at `death`."""
        headers = {"Idempotency-Key": key} | ({"X-Death": death} if death else {})
        for _ in range(MAX_TRIES):
            try:
                response = self.http.post(path, json=content, headers=headers)
            except httpx.TransportError:
                self.unanswered += 1
                headers.pop("X-Death", None)
                wait_until(lambda: answers(self.http))
                continue
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
        raise AssertionError(f"{path} was not answered")

    def act(self, path: str, **content: Any) -> Content:
        """Do what nothing speaks against."""
        response = self.post(path, content, key=str(uuid4()))
        assert response.status_code == httpx.codes.CREATED, response.text
        document: Content = response.json()
        return document
