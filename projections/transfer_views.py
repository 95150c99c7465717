"""The GETs on transfers: each answers from the read model, and says how fresh that is."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from accounts.api_view import ApiView, json_answer
from accounts.domain.money import currency_exponent
from accounts.permissions import Permission, reach_of
from accounts.serializers import IdentifierField, QueryIntegerField, StrictQuerySerializer, read_path_identifier
from projections.freshness import freshness_column, page_with_freshness
from projections.models import TRANSFER_STATES
from projections.serializers import DEFAULT_LIMIT, MAX_LIMIT
from projections.transfer_reads import TRANSFER_COLUMNS, read_transfer, visible_transfers
from projections.views import read_headers


class TransferQuery(StrictQuerySerializer):
    """A read of one transfer. `minVersion` is the version that it must have reached: the one that a write answered."""

    minVersion = QueryIntegerField(
        min_value=1,
        required=False,
        source="min_version",
        help_text="The version that the transfer has reached at least.",
    )


class TransferListQuery(StrictQuerySerializer):
    """Which transfers to list; `cursor` is the nextCursor of the page before."""

    accountId = IdentifierField(required=False, source="account_id", help_text="Its source or its destination.")
    state = serializers.ChoiceField(choices=TRANSFER_STATES, required=False)
    cursor = QueryIntegerField(min_value=1, required=False, help_text="The `nextCursor` of the page before.")
    limit = QueryIntegerField(
        min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="How many transfers a page has at most."
    )


class TransferListView(ApiView):
    """Transfers by account and state, the latest first."""

    permission = Permission.VIEW_TRANSFERS

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 with one page, and the cursor of the next one if there is more."""
        query = TransferListQuery.read(data=request.GET)
        limit = query["limit"]
        fresh = freshness_column(projection="transfer_status")
        transfers = visible_transfers(reach=reach_of(request)).filter(_selected(query)).order_by("-first_position")
        # One row more than the page tells whether there is another page.
        wanted = transfers.annotate(**fresh).values("first_position", *TRANSFER_COLUMNS, *fresh)[: limit + 1]
        rows, freshness = page_with_freshness(projection="transfer_status", read=lambda: list(wanted.all()))
        page = rows[:limit]
        content = {
            "transfers": [transfer_document(row) for row in page],
            "nextCursor": page[-1]["first_position"] if len(rows) > limit else None,
        }
        return json_answer(content=content, headers=read_headers(freshness))


class TransferDetailView(ApiView):
    """One transfer."""

    permission = Permission.VIEW_TRANSFERS

    def get(self, request: HttpRequest, transfer_id: str) -> HttpResponse:
        """Answer 200; 404 if there is no such transfer, 409 if it never was at `minVersion`."""
        read_path_identifier(name="transferId", value=transfer_id)
        query = TransferQuery.read(data=request.GET)
        row, freshness = read_transfer(
            transfer_id=transfer_id, reach=reach_of(request), min_version=query.get("min_version", 0)
        )
        return json_answer(content=transfer_document(row), headers=read_headers(freshness, version=row["version"]))


def transfer_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transfer as the API shows it, from a row of TRANSFER_COLUMNS; what does not apply is left out."""
    reasons = {"code": "failure_code", "refundedTo": "refunded_to", "releasedTo": "released_to"}
    failure = {name: row[column] for name, column in reasons.items()} if row["failure_code"] else {}
    optional = {
        "transactionId": row["transaction_id"],
        "description": row["description"],
        "metadata": row["metadata"],
        "failure": {name: value for name, value in failure.items() if value is not None},
    }
    return {
        "transferId": row["transfer_id"],
        "state": row["state"],
        "sourceAccountId": row["source_account_id"],
        "destinationAccountId": row["destination_account_id"],
        "amount": row["amount"],
        "currency": row["currency"],
        "currencyExponent": currency_exponent(row["currency"]),
        **{name: value for name, value in optional.items() if value not in (None, {})},
        "version": row["version"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def _selected(query: Mapping[str, Any]) -> Q:
    selected = Q()
    if account_id := query.get("account_id"):
        selected &= Q(source_account_id=account_id) | Q(destination_account_id=account_id)
    if state := query.get("state"):
        selected &= Q(state=state)
    if cursor := query.get("cursor"):
        selected &= Q(first_position__lt=cursor)
    return selected
