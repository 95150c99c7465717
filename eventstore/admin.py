"""The event store in the back office: its log, snapshots and verdicts, to be looked at."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest

from eventstore.models import Command, Event, Snapshot
from eventstore.read_only_admin import CompositeKeyAdmin, ReadOnlyAdmin, pretty_json, short_json
from eventstore.store import event_store

RECENT_EVENTS = 50_000


class EventTypeFilter(admin.SimpleListFilter):
    """Narrows by event type: within the stream that is searched for, otherwise within the latest events.

    No index orders the log by type, and one would cost every append; a rare type in a long log would take minutes.
    """

    title = f"event type (in the stream searched for, or the latest {RECENT_EVENTS:,} events)"
    parameter_name = "event_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the types among the latest events."""
        event_types = _recent(Event.objects.all()).order_by("event_type").values_list("event_type", flat=True)
        return [(event_type, event_type) for event_type in event_types.distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        """Return the events of the chosen type."""
        if self.value() is None:
            return queryset
        events = queryset if request.GET.get(SEARCH_VAR) else _recent(queryset)
        return events.filter(event_type=self.value())


class EventAdmin(ReadOnlyAdmin):
    """The log, latest events first; searched by a whole stream id."""

    list_display = ("position", "stream_id", "version", "event_type", "short_data", "occurred_at")
    list_filter = (EventTypeFilter,)
    search_fields = ("stream_id__exact",)
    search_help_text = "The id of a stream, such as account-acc-1"
    ordering = ("-position",)
    fields = (
        "position",
        "stream_id",
        "version",
        "event_id",
        "event_type",
        "schema_version",
        "pretty_data",
        "pretty_metadata",
        "occurred_at",
        "recorded_at",
        "hash_in_hex",
    )

    @admin.display(description="data")
    def short_data(self, event: Event) -> str:
        """Return the beginning of the event's data."""
        return short_json(event.data)

    @admin.display(description="data")
    def pretty_data(self, event: Event) -> str:
        """Return the event's data."""
        return pretty_json(event.data)

    @admin.display(description="metadata")
    def pretty_metadata(self, event: Event) -> str:
        """Return the event's metadata."""
        return pretty_json(event.metadata)

    @admin.display(description="hash")
    def hash_in_hex(self, event: Event) -> str:
        """Return the event's link of the hash chain."""
        return bytes(event.hash).hex()


class SnapshotAdmin(CompositeKeyAdmin):
    """Snapshots by stream."""

    key_columns = ("stream_id", "schema_version")
    list_display = ("stream_id", "schema_version", "version", "short_state", "occurred_at", "recorded_at")
    search_fields = ("stream_id__exact",)
    search_help_text = "The id of a stream, such as account-acc-1"
    ordering = ("stream_id", "schema_version")
    fields = ("stream_id", "schema_version", "version", "pretty_state", "occurred_at", "recorded_at")

    @admin.display(description="state")
    def short_state(self, snapshot: Snapshot) -> str:
        """Return the beginning of the folded state."""
        return short_json(snapshot.state)

    @admin.display(description="state")
    def pretty_state(self, snapshot: Snapshot) -> str:
        """Return the folded state."""
        return pretty_json(snapshot.state)


class CommandAdmin(CompositeKeyAdmin):
    """Verdicts on keyed commands, by scope and key."""

    key_columns = ("scope", "key")
    list_display = ("key", "scope", "refused", "short_result", "last_position", "recorded_at")
    search_fields = ("key__exact",)
    search_help_text = "A whole command key, in quotes if it has spaces"
    ordering = ("scope", "key")
    fields = (
        "scope",
        "key",
        "fingerprint",
        "refused",
        "pretty_result",
        "first_position",
        "last_position",
        "recorded_at",
    )

    @admin.display(description="result")
    def short_result(self, command: Command) -> str:
        """Return the beginning of the verdict."""
        return short_json(command.result)

    @admin.display(description="result")
    def pretty_result(self, command: Command) -> str:
        """Return the verdict."""
        return pretty_json(command.result)


def _recent(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.filter(position__gt=event_store().head_position() - RECENT_EVENTS)


# The in-memory store has no tables to mirror.
if settings.EVENT_STORE_KIND == "postgres":
    admin.site.register(Event, EventAdmin)
    admin.site.register(Snapshot, SnapshotAdmin)
    admin.site.register(Command, CommandAdmin)
