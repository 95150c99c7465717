"""What a bank on one machine needs before it opens: tables, a staff login and the sample data."""

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
        users.create_superuser(username=STAFF_NAME, password=staff_password())
    seed_sample_data()
    # So that the first look shows the sample: a worker that has just started may be a moment behind.
    catch_up()


def staff_password() -> str:
    """Return the staff's password, made at the first start."""
    return kept_secret(settings.VAR_DIR / "staff_password", length_bytes=12)
