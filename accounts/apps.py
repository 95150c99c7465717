"""The Django app of this folder."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.domain.money import use_own_units


class AccountsConfig(AppConfig):
    """The command side of accounts."""

    name = "accounts"

    def ready(self) -> None:
        """Make the bank's own units known."""
        try:
            use_own_units(settings.CURRENCIES_EXTRA)
        except ValueError as error:
            raise ImproperlyConfigured(f"CURRENCIES_EXTRA: {error}") from None
