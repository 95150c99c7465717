"""Rebuilds in the back office: the jobs with their progress, and a way to ask for one."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from accounts.permissions import Permission
from eventstore.read_only_admin import ReadOnlyAdmin
from projections.acting_admin import metadata_of
from projections.job_models import ProjectionJob
from projections.projectors import PROJECTORS
from projections.rebuilding.jobs import projections_of, request_rebuild


class RebuildForm(forms.Form):
    """What is rebuilt, and why; it is kept with the job."""

    projection = forms.ChoiceField(
        choices=[("", "all"), *((projector.name, projector.name) for projector in PROJECTORS)], required=False
    )
    reason = forms.CharField(max_length=500)


@admin.register(ProjectionJob)
class ProjectionJobAdmin(ReadOnlyAdmin):
    """Rebuilds of read models, the latest first; operations can ask for one, and a worker does it."""

    change_list_template = "admin/projections/jobs.html"
    list_display = ("requested_at", "what", "state", "progress", "rate", "requested_by", "reason", "finished_at")
    list_filter = ("state",)
    ordering = ("-requested_at",)
    fields = (
        "job_id",
        "what",
        "state",
        "progress",
        "projections_done",
        "current",
        "phase",
        "events_done",
        "events_total",
        "rate",
        "error",
        "requested_by",
        "reason",
        "requested_at",
        "started_at",
        "updated_at",
        "finished_at",
    )

    @admin.display(description="projection")
    def what(self, job: ProjectionJob) -> str:
        """Return what is rebuilt."""
        return job.projection or "all"

    @admin.display(description="progress")
    def progress(self, job: ProjectionJob) -> str:
        """Return how many read models are done, and how much of the current one."""
        done = f"{len(job.projections_done)} of {len(projections_of(job=job))}"
        if job.current is None or job.current in job.projections_done or not job.events_total:
            return done
        return f"{done}; {job.current}: {job.phase}, {100 * job.events_done // job.events_total} %"

    @admin.display(description="events/s")
    def rate(self, job: ProjectionJob) -> str | None:
        """Return the rate, for people."""
        return None if job.events_per_second is None else f"{job.events_per_second:,}"

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's own addresses, and that of the act."""
        view = self.admin_site.admin_view(self.rebuild)
        return [path("rebuild/", view, name="rebuild_projections"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the jobs, with the form for another to those who may ask for one."""
        context = {"rebuild_form": RebuildForm()} if _may_rebuild(request) else {}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def rebuild(self, request: HttpRequest) -> HttpResponse:
        """Have read models rebuilt."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not _may_rebuild(request):
            raise PermissionDenied
        form = RebuildForm(request.POST)
        if not form.is_valid():
            self.message_user(request, "Nothing was done: it needs a valid reason.", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:projections_projectionjob_changelist"))
        job = request_rebuild(
            projection=form.cleaned_data["projection"],
            reason=form.cleaned_data["reason"],
            metadata=metadata_of(request),
        )
        self.message_user(request, "A worker does it; this page tells how far it is.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:projections_projectionjob_change", args=(job.pk,)))


def _may_rebuild(request: HttpRequest) -> bool:
    # An in-memory bank has nothing to rebuild, and no worker.
    return not settings.IN_MEMORY and request.user.has_perm(f"bank.{Permission.REBUILD_PROJECTIONS}")
