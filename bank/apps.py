"""The Django app of this folder."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate, pre_migrate


class BankConfig(AppConfig):
    """The composition root."""

    name = "bank"

    def ready(self) -> None:
        """Guard `migrate`, once a run and not once for each app; begin each request with living connections."""
        from bank.dead_connections import check_connections_once
        from bank.migration_guards import after_migrate, before_migrate

        check_connections_once()
        # Django signals a migration only to apps that have models.
        event_store = apps.get_app_config("eventstore")
        pre_migrate.connect(before_migrate, sender=event_store)
        post_migrate.connect(after_migrate, sender=event_store)
