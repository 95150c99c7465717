"""The Django app of this folder."""

from django.apps import AppConfig, apps
from django.core.signals import request_started
from django.db.models.signals import post_migrate, pre_migrate


class BankConfig(AppConfig):
    """The composition root."""

    name = "bank"

    def ready(self) -> None:
        """Guard `migrate`, once a run and not once for each app; begin each request with living connections."""
        from bank.dead_connections import drop_dead_connections
        from bank.migration_guards import after_migrate, before_migrate

        request_started.connect(drop_dead_connections)
        # Django signals a migration only to apps that have models.
        event_store = apps.get_app_config("eventstore")
        pre_migrate.connect(before_migrate, sender=event_store)
        post_migrate.connect(after_migrate, sender=event_store)
