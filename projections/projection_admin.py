"""The projections in the back office: how far they are behind the log, and the streams they cannot go on with."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from accounts.permissions import Permission
from eventstore.read_only_admin import ReadOnlyAdmin
from eventstore.records import JsonObject
from projections.acting_admin import Act, ActingAdmin, NotDone, ReasonForm, metadata_of, what_is_wrong
from projections.admin_links import events_link
from projections.lag import ProjectionLag, projection_lags
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.parking import make_due
from projections.repair import projector_named, rebuild_parked, record_retry, retry_parked
from projections.streams import Standing

RETRY_SECONDS = 3.0
"""How long a retry may take here; a runner does the rest."""


@admin.register(ProjectionCheckpoint)
class ProjectionCheckpointAdmin(ReadOnlyAdmin):
    """How far each projection has come, and how far it is behind the log: in events, by their age, and if at all."""

    change_list_template = "admin/projections/lag.html"
    list_display = ("projection",)
    ordering = ("projection",)
    fields = ("projection", "position", "updated_at", "heartbeat_at")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what /health/ready says: also of projections that no worker ever looked after, and so have no row."""
        lags = [_shown(lag) for lag in projection_lags()]
        context = {**(extra_context or {}), "lags": lags, "title": "How far the projections are"}
        return super().changelist_view(request, context)


def _shown(lag: ProjectionLag) -> dict[str, Any]:
    parked = reverse("admin:projections_projectionfailure_changelist")
    return {
        **asdict(lag),
        "status": lag.status,
        "page": reverse("admin:projections_projectioncheckpoint_change", args=(lag.projection,)),
        "parked_page": f"{parked}?{urlencode({'projection': lag.projection})}",
    }


def _retry(failure: ProjectionFailure, metadata: JsonObject, *, reason: str) -> str:
    projector = projector_named(name=failure.projection)
    if projector is None:
        raise NotDone("Nothing was done: there is no such projection any more.")
    standing = retry_parked(
        projector=projector,
        stream_id=failure.stream_id,
        reason=reason,
        metadata=metadata,
        for_seconds=RETRY_SECONDS,
    )
    return _told(standing)


def _rebuild(failure: ProjectionFailure, metadata: JsonObject, *, reason: str) -> str:
    projector = projector_named(name=failure.projection)
    if projector is None:
        raise NotDone("Nothing was done: there is no such projection any more.")
    return _told(rebuild_parked(projector=projector, stream_id=failure.stream_id, reason=reason, metadata=metadata))


def _told(standing: Standing | None) -> str:
    if standing is None or standing.error is None:
        return "It is mended: the stream is parked no more."
    if standing.is_being_rebuilt:
        return "A worker projects it anew; until that is done it shows what it showed before."
    raise NotDone(f"It is still parked, after version {standing.version}: {standing.error}")


class RetryForm(ActionForm):
    """Why streams are retried."""

    reason = forms.CharField(max_length=500, required=False)


@admin.register(ProjectionFailure)
class ProjectionFailureAdmin(ActingAdmin):
    """Streams that a projection could not go on with; operations can have it try again."""

    list_display = ("stream_id", "projection", "version", "error", "attempts", "last_failed_at", "next_attempt_at")
    list_filter = ("projection",)
    search_fields = ("stream_id__exact",)
    search_help_text = "The id of a stream, such as account-acc-1"
    ordering = ("projection", "stream_id")
    actions = ("retry_selected",)
    action_form = RetryForm
    acts = (
        Act(
            name="retry_stream",
            title="Retry",
            permission=Permission.REBUILD_PROJECTIONS,
            is_in_order=lambda failure: not failure.rows_are_suspect,
            perform=_retry,
        ),
        Act(
            name="rebuild_stream",
            title="Rebuild from its first event",
            permission=Permission.REBUILD_PROJECTIONS,
            is_in_order=lambda failure: True,
            perform=_rebuild,
        ),
    )
    fields = (
        "projection",
        "stream_id",
        "version",
        "position",
        "event_id",
        "error",
        "pretty_traceback",
        "attempts",
        "first_failed_at",
        "last_failed_at",
        "next_attempt_at",
        "rows_are_suspect",
        "events",
    )

    @admin.display(description="traceback")
    def pretty_traceback(self, failure: ProjectionFailure) -> str:
        """Return where the projection failed."""
        return format_html("<pre>{}</pre>", failure.traceback)

    @admin.display(description="events")
    def events(self, failure: ProjectionFailure) -> str:
        """Return a link to the stream's events."""
        return events_link(failure.stream_id)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may have streams retried."""
        return request.user.has_perm(f"bank.{Permission.REBUILD_PROJECTIONS}")

    @admin.action(description="Retry the selected streams", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, failures: QuerySet[ProjectionFailure]) -> None:
        """Make streams due: a runner takes them up within a second, one after another."""
        form = ReasonForm(request.POST)
        if not form.is_valid():
            self.message_user(request, f"Nothing was done. {what_is_wrong(form)}", messages.ERROR)
            return
        reason = form.cleaned_data["reason"]
        selected = list(failures)
        for failure in selected:
            record_retry(failure=failure, reason=reason, metadata=metadata_of(request))
            make_due(failure=failure)
        self.message_user(request, f"{len(selected)} are due, and are retried as soon as a worker comes to them.")
