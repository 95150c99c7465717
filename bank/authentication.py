"""Who is asking: bearer tokens, hashed at rest, expiring and revocable."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, TypeAlias

from cachetools import TTLCache
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from structlog.contextvars import bind_contextvars

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.permissions import Permission, Principal

TRUST_SECONDS = 5.0
"""How long a verified token is taken as good unseen: so long a revoked one, or a lost role, may go on working."""

MAX_TRUSTED_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    principal: Principal
    expiry: datetime | None


TrustedTokens: TypeAlias = TTLCache[str, _VerifiedToken]

# By their digests, and only what was verified: whoever reads this process' memory or tries tokens gets nothing from it.
_trusted: TrustedTokens = TTLCache(maxsize=MAX_TRUSTED_TOKENS, ttl=TRUST_SECONDS)
_trusted_lock = Lock()


class BearerTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """`Authorization: Bearer <token>`; the principal that it stands for becomes the request's user."""

    def authenticate_credentials(self, token: bytes) -> tuple[Principal, None]:
        """Return the token's principal, without a query while the token is trusted. Raises AuthenticationFailed."""
        # No token was ever made of anything else, and other bytes would break what looks it up.
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        digest = hash_token(token.decode())
        with _trusted_lock:
            verified = _trusted.get(digest)
        if verified is None:
            user, auth_token = super().authenticate_credentials(token)
            verified = _VerifiedToken(principal_of(user=user), auth_token.expiry)
            with _trusted_lock:
                _trusted[digest] = verified
        elif verified.expiry is not None and verified.expiry <= timezone.now():
            raise AuthenticationFailed("Invalid token.")
        bind_contextvars(actor=verified.principal.username)
        return verified.principal, None


def principal_of(*, user: Any) -> Principal:
    """Return the principal that Django's `user` is to the API, with what its roles and its grants allow it."""
    named = {permission for permission in Permission if user.has_perm(f"bank.{permission}")}
    reach = EVERY_ACCOUNT
    if Permission.REACH_EVERY_ACCOUNT not in named:
        granted = frozenset(user.account_grants.values_list("account_id", flat=True))
        reach = AccountReach(client_id=str(user.pk), granted=granted)
    return Principal(pk=str(user.pk), username=user.get_username(), permissions=frozenset(named), reach=reach)
