"""The repair of one account over HTTP, for operations."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.api_view import ApiView, json_answer, json_content
from accounts.command_context import event_metadata
from accounts.permissions import Permission
from accounts.serializers import NoQuery, StrictCharField, StrictSerializer, read_path_identifier
from projections.repair import account_standings, rebuild_account
from projections.streams import Standing


class RebuildSerializer(StrictSerializer):
    """Why an account is rebuilt."""

    reason = StrictCharField(max_length=500, required=False, help_text="Kept in the log of the operators' acts.")


class AccountStandingView(ApiView):
    """How an account stands in each of its read models."""

    permission = Permission.REBUILD_PROJECTIONS

    def get(self, request: HttpRequest, account_id: str) -> HttpResponse:
        """Answer 200, or 404 if there is no such account."""
        read_path_identifier(name="accountId", value=account_id)
        NoQuery.read(data=request.GET)
        return json_answer(content=_document(account_id, account_standings(account_id=account_id)))


class RebuildAccountView(ApiView):
    """Projects an account anew."""

    permission = Permission.REBUILD_PROJECTIONS

    def post(self, request: HttpRequest, account_id: str) -> HttpResponse:
        """Answer 200 if that is done, 202 if a worker goes on with it, or 404 if there is no such account.

        Sent again it is done again, which changes nothing: it needs no key. The request may be without content.
        """
        read_path_identifier(name="accountId", value=account_id)
        NoQuery.read(data=request.GET)
        has_content = request.META.get("CONTENT_LENGTH", "0") not in ("", "0")
        fields = RebuildSerializer.read(data=json_content(request=request) if has_content else {})
        standings = rebuild_account(
            account_id=account_id,
            reason=fields.get("reason"),
            metadata=event_metadata(request=request, key=None, on_behalf_of=None),
        )
        is_under_way = any(standing.is_being_rebuilt for standing in standings)
        return json_answer(content=_document(account_id, standings), status=202 if is_under_way else 200)


def _document(account_id: str, standings: list[Standing]) -> dict[str, Any]:
    return {"accountId": account_id, "projections": [_standing_document(standing) for standing in standings]}


def _standing_document(standing: Standing) -> dict[str, Any]:
    document = {
        "projection": standing.projection,
        "state": standing.state,
        "version": standing.version,
        "position": standing.position,
    }
    return document if standing.error is None else document | {"error": standing.error}
