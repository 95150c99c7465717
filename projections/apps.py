"""The Django app of this folder."""

from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    """The query side: read models and what keeps them up to date."""

    name = "projections"
    verbose_name = "Accounts and projections"
