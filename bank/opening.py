"""What a bank on one machine needs before it opens: tables, a staff login, a token and the sample data."""

import os
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_token_model

from bank.kept_secret import kept_secret
from bank.sample_data import seed_sample_data
from projections.runner import catch_up

STAFF_NAME = "staff"
CLIENT_NAME = "demo"


def open_bank() -> None:
    """Bring the bank to the state in which its first customer can come; what is there already stays."""
    call_command("migrate", verbosity=0, interactive=False)
    users = get_user_model().objects
    if not users.filter(username=STAFF_NAME).exists():
        users.create_superuser(username=STAFF_NAME, password=_kept_password())
    seed_sample_data()
    # So that the first look shows the sample: a worker that has just started may be a moment behind.
    catch_up()


def staff_password() -> str | None:
    """Return the staff's password, made at the first start; None if staff have another, set by whoever knows it."""
    if settings.IN_MEMORY:
        # The login is in the web server's own tables, made a moment ago.
        return _kept_password()
    staff = get_user_model().objects.get(username=STAFF_NAME)
    if not _password_file().exists():
        return None
    password = _kept_password()
    return password if staff.check_password(password) else None


def client_token() -> str:
    """Return a token of the demo's client: the one that was printed before, or a new one if that is good no longer."""
    file: Path = settings.VAR_DIR / "client_token"
    token = file.read_text().strip() if file.exists() else ""
    tokens = get_token_model().objects.filter(user__username=CLIENT_NAME, user__is_active=True)
    if not (token and tokens.filter(digest=hash_token(token), expiry__gt=timezone.now()).exists()):
        printed = StringIO()
        call_command("issue_token", CLIENT_NAME, stdout=printed)
        token = printed.getvalue().strip()
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
            kept.write(token)
    return token


def _kept_password() -> str:
    return kept_secret(_password_file(), length_bytes=12)


def _password_file() -> Path:
    file: Path = settings.VAR_DIR / "staff_password"
    return file
