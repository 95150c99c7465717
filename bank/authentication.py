"""Who is asking: bearer tokens, hashed at rest, expiring and revocable."""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hmac import compare_digest
from threading import Lock
from typing import Any, TypeAlias

from cachetools import TTLCache
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from structlog.contextvars import bind_contextvars

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.permissions import Permission, Principal
from bank.throttling import require_not_shut
from eventstore.shared_reads import SharedCalls
from eventstore.waiting import begin, waits_by_itself

TRUST_SECONDS = 5.0
"""How long a verified token is taken as good unseen: so long a revoked one, or a lost role, may go on working."""

AHEAD_SECONDS = 1.0
"""How long before that a token that is borne is verified again, where that keeps nobody waiting."""

KNOWN_SECONDS = 3_600.0
"""How long a token is known to have been good: whoever guesses from the same address does not shut it out."""

SCHEME = "Bearer"
MAX_TRUSTED_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    principal: Principal
    expiry: datetime | None
    verified_at: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """Tell whether the token should be verified again before its trust ends."""
        return time.monotonic() - self.verified_at > TRUST_SECONDS - AHEAD_SECONDS


TrustedTokens: TypeAlias = TTLCache[str, _VerifiedToken]

# A space is in no principal's name, and no account is opened by a principal without an id.
SCRAPER = Principal(
    pk="",
    username="metrics token",
    permissions=frozenset({Permission.VIEW_METRICS}),
    reach=AccountReach(client_id=""),
)
"""Who bears settings.METRICS_TOKEN: it may read /metrics and nothing else, also while the database is away."""

# By their digests, and only what was verified: whoever reads this process' memory or tries tokens gets nothing from it.
_trusted: TrustedTokens = TTLCache(maxsize=MAX_TRUSTED_TOKENS, ttl=TRUST_SECONDS)
_known: TTLCache[str, bool] = TTLCache(maxsize=MAX_TRUSTED_TOKENS, ttl=KNOWN_SECONDS)
_lock = Lock()
_verifications: SharedCalls[str, _VerifiedToken] = SharedCalls()


class BearerTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """`Authorization: Bearer <token>`; the principal that it stands for becomes the request's user."""

    def authenticate(self, request: HttpRequest | Request) -> tuple[Principal, None] | None:
        """Return who sent `request`, None if it bears no token. Raises AuthenticationFailed or Throttled.

        What most requests carry, one token after the scheme in its usual spelling, is read here; the rest by knox.
        """
        self._request = request
        header: str = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme == SCHEME and token.isascii() and token.isalnum():
            return self.authenticate_credentials(token.encode())
        authenticated: tuple[Principal, None] | None = super().authenticate(request)
        return authenticated

    def authenticate_credentials(self, token: bytes) -> tuple[Principal, None]:
        """Return the token's principal, without a query while the token is trusted.

        Raises AuthenticationFailed; or Throttled, for a token that nobody knows from an address of too many such.
        """
        # No token was ever made of anything else, and other bytes would break what looks it up.
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        digest = hash_token(token.decode())
        with _lock:
            verified = _trusted.get(digest)
        if verified is None:
            self._require_not_shut(digest)
            verified = _verifications.result(digest, partial(self._verified, digest, token))
        elif verified.is_due() and not waits_by_itself() and not _verifications.is_under_way(digest):
            # Ahead of time, while others go on: or all that bear it would have to wait.
            begin(partial(self._verified_again, digest, token))
        if verified.expiry is not None and verified.expiry <= timezone.now():
            raise AuthenticationFailed("Invalid token.")
        bind_contextvars(actor=verified.principal.username)
        return verified.principal, None

    def _verified(self, digest: str, token: bytes) -> _VerifiedToken:
        if _is_of_the_scraper(digest):
            verified = _VerifiedToken(SCRAPER, None)
        else:
            try:
                user, auth_token = super().authenticate_credentials(token)
            except AuthenticationFailed:
                with _lock:
                    _trusted.pop(digest, None)
                    _known.pop(digest, None)
                raise
            verified = _VerifiedToken(principal_of(user=user), auth_token.expiry)
        with _lock:
            _trusted[digest] = verified
            _known[digest] = True
        return verified

    def _verified_again(self, digest: str, token: bytes) -> None:
        # Whatever it raises, the next to bear the token is told: or somebody after him, while it is still trusted.
        with suppress(Exception):
            _verifications.result(digest, partial(self._verified, digest, token))

    def _require_not_shut(self, digest: str) -> None:
        with _lock:
            is_known = digest in _known
        if not is_known and not _is_of_the_scraper(digest):
            require_not_shut(request=self._request)


def _is_of_the_scraper(digest: str) -> bool:
    return bool(settings.METRICS_TOKEN) and compare_digest(digest, hash_token(settings.METRICS_TOKEN))


def principal_of(*, user: Any) -> Principal:
    """Return the principal that Django's `user` is to the API, with what its roles and its grants allow it."""
    named = {permission for permission in Permission if user.has_perm(f"bank.{permission}")}
    reach = EVERY_ACCOUNT
    if Permission.REACH_EVERY_ACCOUNT not in named:
        granted = frozenset(user.account_grants.values_list("account_id", flat=True))
        reach = AccountReach(client_id=str(user.pk), granted=granted)
    return Principal(pk=str(user.pk), username=user.get_username(), permissions=frozenset(named), reach=reach)
