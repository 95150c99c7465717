"""What a bank on one machine needs before it opens: tables, a staff login and the sample data."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from bank.kept_secret import kept_secret
from bank.sample_data import seed_sample_data
from projections.runner import catch_up

STAFF_NAME = "staff"


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


def _kept_password() -> str:
    return kept_secret(_password_file(), length_bytes=12)


def _password_file() -> Path:
    file: Path = settings.VAR_DIR / "staff_password"
    return file
