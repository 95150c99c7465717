"""Who is asking: bearer tokens, hashed at rest and revocable."""

from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class BearerTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """`Authorization: Bearer <token>`."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return the user and the token's record. Raises AuthenticationFailed."""
        # No token was ever made of anything else, and other bytes would break what looks it up.
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)
