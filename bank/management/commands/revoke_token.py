"""`manage.py revoke_token NAME [--key BEGINNING]`: ends the tokens of an API client."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import get_token_model
from knox.settings import CONSTANTS

KEY_LENGTH: int = CONSTANTS.TOKEN_KEY_LENGTH


class Command(BaseCommand):
    """Ends all tokens of one principal, or one of them; the bank forgets them within seconds."""

    help = "Revoke all tokens of a principal of the API, or one of them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the principal's name, and the beginning of a token."""
        parser.add_argument("name")
        parser.add_argument("--key", help=f"revoke only the token that begins with these {KEY_LENGTH} characters")

    def handle(self, *args: Any, name: str, key: str | None, **options: Any) -> None:
        """Revoke, and say how many tokens that were. Raises CommandError if there was none."""
        if settings.IN_MEMORY:
            raise CommandError("revoke_token needs PostgreSQL: an in-memory bank has no tokens", returncode=2)
        tokens = get_token_model().objects.filter(user__username=name)
        if key is not None:
            # Of a whole token pasted here no more than its beginning is of use.
            tokens = tokens.filter(token_key=key[:KEY_LENGTH])
        revoked, _ = tokens.delete()
        if not revoked:
            raise CommandError(f"{name!r} has no such token")
        self.stdout.write(f"{revoked} revoked")
