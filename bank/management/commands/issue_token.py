"""`manage.py issue_token NAME [--role ROLE]`: a bearer token for an API client."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from knox.models import get_token_model

DEFAULT_ROLE = "client"


class Command(BaseCommand):
    """Makes the principal if there is none of that name, and prints a new token, which is kept as a hash alone."""

    help = "Make a principal of the API if need be, and print a new token for it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the principal's name and its role."""
        parser.add_argument("name")
        parser.add_argument(
            "--role", help=f"from now on its only role; without it, a new one becomes a {DEFAULT_ROLE}, others stay"
        )

    def handle(self, *args: Any, name: str, role: str | None, **options: Any) -> None:
        """Print the token, alone on a line, for scripts to take."""
        if settings.IN_MEMORY:
            raise CommandError("issue_token needs PostgreSQL: an in-memory bank has no tokens", returncode=2)
        users = get_user_model()
        name = users.normalize_username(name)
        others = {field.name for field in users._meta.fields} - {users.USERNAME_FIELD}
        try:
            # Before the database sees it: not all that can be typed can be stored, and logs and events show it.
            users(username=name).clean_fields(exclude=others)
        except ValidationError as error:
            raise CommandError(f"{name!r} cannot be the name of a principal: {' '.join(error.messages)}") from None
        with transaction.atomic():
            user, is_new = users.objects.get_or_create(username=name)
            if is_new:
                user.set_unusable_password()
                user.save(update_fields=["password"])
            if role or is_new:
                user.groups.set([_group(role or DEFAULT_ROLE)])
            _, token = get_token_model().objects.create(user=user)
        self.stdout.write(token)


def _group(role: str) -> Group:
    try:
        return Group.objects.get(name=role)
    except Group.DoesNotExist:
        roles = ", ".join(Group.objects.order_by("name").values_list("name", flat=True))
        raise CommandError(f"there is no role {role!r}; the roles are {roles}") from None
