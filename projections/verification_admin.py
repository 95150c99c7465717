"""What verifications found and where the continuous one stands, in the back office: to be looked at."""

from django.contrib import admin

from eventstore.read_only_admin import ReadOnlyAdmin
from projections.models import VerificationCycle, VerificationDifference


@admin.register(VerificationDifference)
class VerificationDifferenceAdmin(ReadOnlyAdmin):
    """What differs, the latest first; it goes away when a verification finds it in order."""

    list_display = ("check_name", "stream_id", "place", "key", "column_name", "expected", "actual", "last_found_at")
    search_fields = ("stream_id__exact",)
    search_help_text = "The id of a stream, such as account-acc-1"
    ordering = ("-last_found_at",)
    fields = (
        "check_name",
        "stream_id",
        "place",
        "key",
        "column_name",
        "expected",
        "actual",
        "first_found_at",
        "last_found_at",
    )


@admin.register(VerificationCycle)
class VerificationCycleAdmin(ReadOnlyAdmin):
    """How far the continuous verification has come, and how long the last whole one took."""

    list_display = ("began_at", "events", "head", "last_began_at", "last_finished_at", "last_events")
    ordering = ("cycle_id",)
    fields = (
        "began_at",
        "head",
        "events",
        "after_stream_id",
        "streams_are_done",
        "after_position",
        "highest_head",
        "last_began_at",
        "last_finished_at",
        "last_events",
    )
