"""The Django app of this folder."""

from django.apps import AppConfig

from eventstore.store import event_store


class EventStoreConfig(AppConfig):
    """The append-only log of events; it knows nothing about banking."""

    name = "eventstore"
    verbose_name = "Event log"

    def ready(self) -> None:
        """Make the store before there are threads: two that ask for it at once would each get a log of their own."""
        event_store()
