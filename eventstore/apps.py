"""The Django app of this folder."""

from django.apps import AppConfig


class EventStoreConfig(AppConfig):
    """The append-only log of events; it knows nothing about banking."""

    name = "eventstore"
