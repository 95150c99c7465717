"""What the OpenAPI schema says of rebuilds of all read models."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from accounts.openapi import Operation, Operations
from accounts.serializers import NoQuery, StrictIntegerField, StrictSerializer
from projections import job_views
from projections.job_models import JOB_STATES
from projections.projectors import PROJECTORS
from projections.rebuilding.rebuild import Phase

_NAMES = [projector.name for projector in PROJECTORS]


class JobProjection(StrictSerializer):
    """One read model of a job."""

    projection = serializers.ChoiceField(choices=_NAMES)
    state = serializers.ChoiceField(choices=["WAITING", "RUNNING", "DONE"])


class JobProgress(StrictSerializer):
    """What a job is at."""

    projection = serializers.ChoiceField(choices=_NAMES)
    phase = serializers.ChoiceField(choices=[phase.value for phase in Phase])
    eventsDone = StrictIntegerField(min_value=0, help_text="Events that are in the new table.")
    eventsTotal = StrictIntegerField(min_value=0, help_text="Of those that there were when it began.")
    eventsPerSecond = StrictIntegerField(min_value=0, allow_null=True)


class Job(StrictSerializer):
    """A rebuild, and how far it is."""

    jobId = serializers.UUIDField()
    state = serializers.ChoiceField(
        choices=JOB_STATES,
        help_text="A RUNNING one whose `updatedAt` stands still waits for a worker to go on with it.",
    )
    projections = JobProjection(many=True, help_text="In the order in which they are rebuilt.")
    current = JobProgress(required=False)
    requestedAt = serializers.DateTimeField()
    startedAt = serializers.DateTimeField(required=False)
    updatedAt = serializers.DateTimeField(required=False)
    finishedAt = serializers.DateTimeField(required=False)
    error = serializers.CharField(
        required=False, help_text="What it failed with; asked for again, it goes on from there."
    )


_EXAMPLE = {
    "jobId": "0b0f1c9e-7a54-4d0e-9d3b-3c0f5f1f2a77",
    "state": "RUNNING",
    "projections": [
        {"projection": "account_summary", "state": "DONE"},
        {"projection": "account_statement", "state": "RUNNING"},
        {"projection": "transfer_status", "state": "WAITING"},
    ],
    "current": {
        "projection": "account_statement",
        "phase": "copying",
        "eventsDone": 420_000,
        "eventsTotal": 1_000_000,
        "eventsPerSecond": 30_000,
    },
    "requestedAt": "2026-03-22T10:05:00.000Z",
    "startedAt": "2026-03-22T10:05:01.000Z",
    "updatedAt": "2026-03-22T10:05:40.000Z",
}

OPERATIONS: Operations = {
    job_views.RebuildAllView: Operation(
        operation_id="rebuildAllProjections",
        tag="projections",
        summary="Build all read models again",
        description="From the first event on, beside the live ones, each of which is replaced in one moment: reads and "
        "writes go on. A worker does it; the answer is the job to poll, the one under way if there is one. So it needs "
        "no key. The request may be without content.",
        request=job_views.RebuildAllSerializer,
        request_example={"reason": "rows were changed by hand"},
        content_is_optional=True,
        query=NoQuery,
        status=202,
        answer=Job,
        answer_example=_EXAMPLE,
        headers=(
            OpenApiParameter(
                "Location",
                {"type": "string"},
                OpenApiParameter.HEADER,
                required=True,
                description="Where the job is.",
                response=[202],
            ),
        ),
        problems=(
            *("malformed_json", "validation_error", "payload_too_large", "unsupported_media_type"),
            *("needs_postgresql", "store_unavailable", "contention"),
        ),
    ),
    job_views.JobView: Operation(
        operation_id="getProjectionJob",
        tag="projections",
        summary="Tell how far a job is",
        query=NoQuery,
        answer=Job,
        answer_example=_EXAMPLE,
        problems=("validation_error", "not_found", "store_unavailable"),
    ),
}
