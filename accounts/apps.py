"""The Django app of this folder."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The command side of accounts."""

    name = "accounts"
