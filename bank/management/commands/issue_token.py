"""`manage.py issue_token <username>`: a bearer token for an API client."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from knox.models import get_token_model


class Command(BaseCommand):
    """Makes the client if there is none of that name, and prints a new token, which is kept as a hash alone."""

    help = "Make an API client if need be, and print a new token for it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the client's name."""
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        """Print the token, alone on a line, for scripts to take."""
        user, is_new = get_user_model().objects.get_or_create(username=username)
        if is_new:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        _, token = get_token_model().objects.create(user=user)
        self.stdout.write(token)
