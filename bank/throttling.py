"""How many requests one principal may send: counted in Valkey, and let pass while it is away."""

import logging
import time
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

WINDOW_SECONDS = 60
TIMEOUT_SECONDS = 0.1
PAUSE_SECONDS = 5.0
"""How long Valkey is left alone once it failed: requests must not wait for what is away."""

logger = logging.getLogger(__name__)


class PrincipalThrottle(BaseThrottle):
    """So many requests a minute for each principal, whatever its tokens and whichever process they reach."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request, and tell whether it is one of those that the minute allows."""
        minute = int(time.time()) // WINDOW_SECONDS
        count = _counters(settings.REDIS_URL).count(f"requests:{request.user.get_username()}:{minute}")
        return count is None or count <= settings.THROTTLE_REQUESTS_PER_MINUTE

    def wait(self) -> float:
        """Return the seconds until the next minute begins."""
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


class Counters:
    """One process' way to the counters in Valkey."""

    def __init__(self, url: str) -> None:
        self._valkey = redis.Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._left_alone_until = 0.0

    def count(self, name: str) -> int | None:
        """Return how often `name` was counted, this time included, in one round trip; None while Valkey is away."""
        now = time.monotonic()
        if now < self._left_alone_until:
            return None
        if self._left_alone_until:
            # This request tries whether it is back; the others go on without.
            self._left_alone_until = now + PAUSE_SECONDS
        try:
            pipeline = self._valkey.pipeline(transaction=False)
            pipeline.incr(name)
            pipeline.expire(name, WINDOW_SECONDS)
            count: int = pipeline.execute()[0]
        except redis.RedisError as error:
            self._left_alone_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("Requests are not counted, and none is refused: %s", type(error).__name__)
            return None
        self._left_alone_until = 0.0
        return count


@cache
def _counters(url: str) -> Counters:
    return Counters(url)
