"""How many requests may be sent, and how many turned away: counted in Valkey, and let pass while it is away."""

import logging
import time
from functools import cache, partial
from ipaddress import IPv6Address, ip_address
from threading import Lock
from typing import Any

import redis
from cachetools import TTLCache
from django.conf import settings
from django.http import HttpRequest
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.permissions import principal_in
from bank.client_address import client_address
from eventstore.shared_reads import SharedCalls
from eventstore.waiting import apart

WINDOW_SECONDS = 60
TIMEOUT_SECONDS = 0.1
MAX_SHARE = 100
PAUSE_SECONDS = 5.0
"""How long Valkey is left alone once it failed: requests must not wait for what is away."""

MAX_SHUT_ADDRESSES = 10_000

logger = logging.getLogger(__name__)

# By address, the minute in which it was turned away too often: it costs nobody a round trip until that has passed.
_shut: TTLCache[str, int] = TTLCache(maxsize=MAX_SHUT_ADDRESSES, ttl=WINDOW_SECONDS)
_shut_lock = Lock()


class PrincipalThrottle(BaseThrottle):
    """So many requests a minute for each principal, whatever its tokens and whichever process they reach."""

    def allow_request(self, request: Any, view: Any) -> bool:
        """Count the request, and tell whether it is one of those that the minute allows."""
        limit = settings.THROTTLE_REQUESTS_PER_MINUTE
        return _allowances(settings.REDIS_URL, limit).take(request.user.get_username())

    def wait(self) -> float:
        """Return the seconds until the next minute begins."""
        return _seconds_left()


def turned_away_too_often(*, request: HttpRequest | Request) -> Throttled | None:
    """Count a request that is answered 401 or 403; return what to answer instead if there are too many of them.

    Those without a valid token count for the address that they come from, the others for their principal.
    """
    principal, origin, minute = principal_in(request), _origin(request), _minute()
    sender = f"address:{origin}" if principal is None else f"principal:{principal.username}"
    if _is_within(settings.THROTTLE_TURNED_AWAY_PER_MINUTE, f"turned-away:{sender}:{minute}"):
        return None
    if principal is None:
        with _shut_lock:
            _shut[origin] = minute
    return Throttled(wait=_seconds_left())


def require_not_shut(*, request: HttpRequest | Request) -> None:
    """Raise Throttled if this process has seen too many requests without a valid token from where `request` comes."""
    with _shut_lock:
        is_shut = _shut.get(_origin(request)) == _minute()
    if is_shut:
        raise Throttled(wait=_seconds_left())


def _origin(request: HttpRequest | Request) -> str:
    """Return the address that `request` comes from; of one of IPv6 its network of 64 bits, which has a single owner."""
    address = str(client_address(request))
    try:
        found = ip_address(address)
    except ValueError:
        return address
    is_long = isinstance(found, IPv6Address) and found.ipv4_mapped is None
    return str(IPv6Address(int(found) >> 64 << 64)) if is_long else address


def _is_within(limit: int, name: str) -> bool:
    counters = _counters(settings.REDIS_URL)
    count = None if counters.are_left_alone() else apart(partial(counters.count, name))
    return count is None or count <= limit


def _minute() -> int:
    return int(time.time()) // WINDOW_SECONDS


def _seconds_left() -> float:
    return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


class Allowances:
    """What one process may still let through of each principal's minute, fetched from Valkey a share at a time.

    A share counts as used once it is fetched. So all processes together never let more through than `limit`; and a
    principal may be refused early by what lies unused in other processes, less than a share in each: a hundredth of
    its limit, at most MAX_SHARE requests. While Valkey is away nobody is refused.
    """

    def __init__(self, *, counters: "Counters", limit: int) -> None:
        self._counters = counters
        self._limit = limit
        self._share = max(1, min(limit // 100, MAX_SHARE))
        self._minute = 0
        self._of_minute: dict[str, _Allowance] = {}
        self._next_minute = Lock()
        self._fetches: SharedCalls[_Allowance, bool] = SharedCalls()

    def take(self, principal: str) -> bool:
        """Use one request of the principal's minute; tell whether there was one."""
        minute = _minute()
        if minute != self._minute:
            with self._next_minute:
                if minute != self._minute:
                    self._minute, self._of_minute = minute, {}
        allowance = self._of_minute.setdefault(principal, _Allowance())
        while (taken := allowance.take()) is None:
            if self._counters.are_left_alone():
                return True
            # Whoever needs the next share waits for the one who fetches it.
            if not self._fetches.result(allowance, partial(self._fetch, allowance, f"requests:{principal}:{minute}")):
                return True
        return taken

    def _fetch(self, allowance: "_Allowance", name: str) -> bool:
        """Fetch the next share, unless somebody has; tell whether Valkey was there."""
        with allowance.fetching:
            if not allowance.is_used_up():
                return True
            used = self._counters.count(name, amount=self._share)
            if used is None:
                return False
            before = used - self._share
            allowance.put(max(0, min(self._share, self._limit - before)), is_last=used >= self._limit)
            return True


class _Allowance:
    """How many requests are left of what was fetched for a principal, and whether there is more to fetch.

    `fetching` is for who fetches, and may be held as long as that takes.
    """

    def __init__(self) -> None:
        self.fetching = Lock()
        self._lock = Lock()
        self._left = 0
        self._is_last = False

    def take(self) -> bool | None:
        """Use one request; tell whether there was one, None if the next share must be fetched to know."""
        with self._lock:
            if self._left:
                self._left -= 1
                return True
            return False if self._is_last else None

    def is_used_up(self) -> bool:
        """Tell whether the next share must be fetched."""
        with self._lock:
            return not self._left and not self._is_last

    def put(self, share: int, *, is_last: bool) -> None:
        """Have a share more; of the last one it is known that there is none after it."""
        with self._lock:
            self._left, self._is_last = self._left + share, is_last


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

    def are_left_alone(self) -> bool:
        """Tell whether Valkey was away a moment ago, so that there is nothing to ask."""
        return time.monotonic() < self._left_alone_until

    def count(self, name: str, *, amount: int = 1) -> int | None:
        """Return what `name` was counted to, this `amount` included, in one round trip; None while Valkey is away."""
        if self.are_left_alone():
            return None
        if self._left_alone_until:
            # This request tries whether it is back; the others go on without.
            self._left_alone_until = time.monotonic() + PAUSE_SECONDS
        try:
            pipeline = self._valkey.pipeline(transaction=False)
            pipeline.incrby(name, amount)
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


@cache
def _allowances(url: str, limit: int) -> Allowances:
    return Allowances(counters=_counters(url), limit=limit)
