"""What the OpenAPI schema says of the repair of one account."""

from typing import Any

from rest_framework import serializers

from accounts.openapi import Operation, Operations
from accounts.serializers import IdentifierField, NoQuery, StrictIntegerField, StrictSerializer
from projections import repair_views
from projections.projectors import PROJECTORS
from projections.repair_views import RebuildSerializer

_STATES = ("CURRENT", "PARKED", "REBUILDING")


class ProjectedAccount(StrictSerializer):
    """How an account stands in one read model."""

    projection = serializers.ChoiceField(choices=[projector.name for projector in PROJECTORS])
    state = serializers.ChoiceField(
        choices=_STATES,
        help_text="`CURRENT` knows all events up to `position`; `PARKED` waits at an event that it cannot go on with; "
        "`REBUILDING` shows what it showed before until a worker has projected it anew.",
    )
    version = StrictIntegerField(min_value=0, help_text="The account's version as the read model knows it.")
    position = StrictIntegerField(min_value=0, help_text="How far in the log the projection has come.")
    error = serializers.CharField(required=False, help_text="What it is parked with.")


class AccountStanding(StrictSerializer):
    """How an account stands in each of its read models."""

    accountId = IdentifierField()
    projections = ProjectedAccount(many=True)


_EXAMPLE: dict[str, Any] = {
    "accountId": "acc-1",
    "projections": [
        {"projection": "account_summary", "state": "CURRENT", "version": 3, "position": 42},
        {"projection": "account_statement", "state": "CURRENT", "version": 3, "position": 42},
    ],
}
_PROBLEMS = ("validation_error", "account_not_found", "store_unavailable")

OPERATIONS: Operations = {
    repair_views.AccountStandingView: Operation(
        operation_id="getAccountStanding",
        tag="projections",
        summary="Tell how an account stands in its read models",
        query=NoQuery,
        answer=AccountStanding,
        answer_example=_EXAMPLE,
        problems=_PROBLEMS,
    ),
    repair_views.RebuildAccountView: Operation(
        operation_id="rebuildAccount",
        tag="projections",
        summary="Project an account anew",
        description="All of its rows are made again from its own events, at once for whoever reads them, while the "
        "bank goes on. 202 says that it has so many events that a worker goes on with it. It needs no key: sent again, "
        "it is done again, and changes nothing. The request may be without content.",
        request=RebuildSerializer,
        request_example={"reason": "a row was changed by hand"},
        content_is_optional=True,
        query=NoQuery,
        answer=AccountStanding,
        answer_example=_EXAMPLE,
        more_statuses=(202,),
        problems=(*_PROBLEMS, "malformed_json", "payload_too_large", "unsupported_media_type", "contention"),
    ),
}
