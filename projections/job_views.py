"""Rebuilds of all read models over HTTP, for operations: asked for here, done by a worker."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from accounts.api_view import ApiView, json_answer, json_content
from accounts.command_context import event_metadata
from accounts.permissions import Permission
from accounts.serializers import NoQuery, StrictCharField, StrictSerializer
from projections.job_models import RUNNING, ProjectionJob
from projections.rebuilding.exceptions import NeedsPostgresql
from projections.rebuilding.jobs import projections_of, request_rebuild

JOBS_PATH = "/api/admin/projections/jobs/"


class RebuildAllSerializer(StrictSerializer):
    """Why all read models are rebuilt."""

    reason = StrictCharField(max_length=500, required=False, help_text="Kept in the log of the operators' acts.")


class RebuildAllView(ApiView):
    """Has all read models rebuilt from the first event."""

    permission = Permission.REBUILD_PROJECTIONS

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer 202 with the job that does it: the one under way, if there is one.

        So it needs no key. The request may be without content.
        """
        NoQuery.read(data=request.GET)
        has_content = request.META.get("CONTENT_LENGTH", "0") not in ("", "0")
        fields = RebuildAllSerializer.read(data=json_content(request=request) if has_content else {})
        if settings.IN_MEMORY:
            raise NeedsPostgresql
        job = request_rebuild(
            reason=fields.get("reason"), metadata=event_metadata(request=request, key=None, on_behalf_of=None)
        )
        return json_answer(content=_document(job), status=202, headers={"Location": f"{JOBS_PATH}{job.pk}"})


class JobView(ApiView):
    """How far a job is."""

    permission = Permission.REBUILD_PROJECTIONS

    def get(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Answer 200, or 404 if there is no such job."""
        NoQuery.read(data=request.GET)
        job = ProjectionJob.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404
        return json_answer(content=_document(job), headers={"Cache-Control": "no-store"})


def _document(job: ProjectionJob) -> dict[str, Any]:
    document = {
        "jobId": str(job.pk),
        "state": job.state,
        "projections": [
            {"projection": projector.name, "state": _state_of(job, projector.name)}
            for projector in projections_of(job=job)
        ],
        "requestedAt": job.requested_at,
    }
    if job.state == RUNNING and job.current:
        document["current"] = {
            "projection": job.current,
            "phase": job.phase,
            "eventsDone": job.events_done,
            "eventsTotal": job.events_total,
            "eventsPerSecond": job.events_per_second,
        }
    known = {
        "startedAt": job.started_at,
        "updatedAt": job.updated_at,
        "finishedAt": job.finished_at,
        "error": job.error,
    }
    return document | {name: value for name, value in known.items() if value is not None}


def _state_of(job: ProjectionJob, projection: str) -> str:
    if projection in job.projections_done:
        return "DONE"
    return "RUNNING" if job.state == RUNNING and projection == job.current else "WAITING"
