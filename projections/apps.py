"""The Django app of this folder."""

from importlib import import_module

from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    """The query side: read models and what keeps them up to date."""

    name = "projections"
    verbose_name = "Accounts and projections"

    def ready(self) -> None:
        """Have projectors known that bring their read models along, for migrations and the like."""
        import_module("projections.projectors")
