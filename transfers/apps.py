"""The Django app of this folder."""

from django.apps import AppConfig


class TransfersConfig(AppConfig):
    """The command side of transfers between accounts."""

    name = "transfers"
