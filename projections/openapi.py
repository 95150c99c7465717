"""What the OpenAPI schema says of the GETs on accounts."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from accounts.event_types import EVENT_TYPES
from accounts.openapi import ETAG, Operation, Operations
from accounts.openapi_fields import JsonSchema
from accounts.serializers import (
    AmountField,
    CurrencyField,
    IdentifierField,
    MetadataField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
)
from projections import views
from projections.models import STATUSES
from projections.serializers import AccountListQuery, AccountQuery, HistoryQuery


class InstantSchema(OpenApiSerializerFieldExtension):
    """A moment with its offset."""

    target_class = "projections.serializers.InstantField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {"type": "string", "format": "date-time"}


class BalanceAnswer(StrictSerializer):
    """The balance of an account."""

    accountId = IdentifierField()
    balance = StrictIntegerField(help_text="In minor units of `currency`.")
    currency = CurrencyField()
    currencyExponent = StrictIntegerField(max_value=18, help_text="The decimals of the major unit: 2 for USD.")
    status = serializers.ChoiceField(choices=STATUSES)
    version = StrictIntegerField(min_value=1)


class Verified(StrictSerializer):
    """How far the account was found sound: its events, their hash chain, and all that is shown of them."""

    version = StrictIntegerField(min_value=1, help_text="The last event that was looked at.")
    at = serializers.DateTimeField()


class AccountAnswer(BalanceAnswer):
    """An account."""

    ownerId = IdentifierField()
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField(help_text="When its last event occurred.")
    verified = Verified(allow_null=True, help_text="Null if it has not been verified yet.")


class AccountListAnswer(StrictSerializer):
    """A page of accounts."""

    accounts = AccountAnswer(many=True)
    nextCursor = IdentifierField(allow_null=True, help_text="The `cursor` of the next page; null on the last one.")


class StatementLine(StrictSerializer):
    """One event of an account, with the balance that it left. What does not apply to it is left out."""

    eventId = serializers.UUIDField()
    accountId = IdentifierField()
    streamVersion = StrictIntegerField(min_value=1)
    eventType = serializers.ChoiceField(choices=tuple(EVENT_TYPES))
    amount = AmountField(required=False, help_text="In minor units of `currency`.")
    currency = CurrencyField(required=False)
    transactionId = StrictCharField(max_length=255, required=False)
    reason = StrictCharField(max_length=500, required=False)
    transferId = IdentifierField(required=False)
    counterparty = IdentifierField(required=False)
    description = StrictCharField(max_length=500, required=False)
    metadata = MetadataField(required=False)
    balance = StrictIntegerField()
    occurredAt = serializers.DateTimeField()


class HistoryAnswer(StrictSerializer):
    """Lines of a statement."""

    accountId = IdentifierField()
    entries = StatementLine(many=True)


READ_PROBLEMS = ("validation_error", "store_unavailable")
_ACCOUNT_PROBLEMS = (*READ_PROBLEMS, "account_not_found", "version_conflict")
READ_HEADERS = (
    OpenApiParameter(
        "X-Projection-Position",
        {"type": "string", "pattern": "^[0-9]+$"},
        OpenApiParameter.HEADER,
        required=True,
        description="The `position` up to which the read model knows every event.",
        response=[200],
    ),
    OpenApiParameter(
        "X-Projection-Age-Ms",
        {"type": "string", "pattern": "^[0-9]+$"},
        OpenApiParameter.HEADER,
        required=True,
        description="For how many milliseconds there has been an event that the read model does not know; 0 if there "
        "is none.",
        response=[200],
    ),
)
_ACCOUNT_HEADERS = (*READ_HEADERS, ETAG)
_MIN_VERSION = (
    "Reads follow writes after a moment. With `minVersion`, the `version` that a write answered, the answer is never "
    "older than that; `version_conflict` says that the account never was at that version."
)
_BALANCE: dict[str, Any] = {
    "accountId": "acc-1",
    "balance": 800,
    "currency": "USD",
    "currencyExponent": 2,
    "status": "ACTIVE",
    "version": 3,
}
_ACCOUNT = _BALANCE | {
    "ownerId": "user-1",
    "createdAt": "2026-03-22T10:00:00.000Z",
    "updatedAt": "2026-03-22T10:05:00.000Z",
    "verified": {"version": 3, "at": "2026-03-22T11:00:00.000Z"},
}
_LINE = {
    "eventId": "0b0f1c9e-7a54-4d0e-9d3b-3c0f5f1f2a77",
    "accountId": "acc-1",
    "streamVersion": 3,
    "eventType": "MoneyWithdrawn",
    "amount": 200,
    "currency": "USD",
    "transactionId": "txn-2",
    "balance": 800,
    "occurredAt": "2026-03-22T10:05:00.000Z",
}

OPERATIONS: Operations = {
    views.AccountListView: Operation(
        operation_id="listAccounts",
        tag="accounts",
        summary="List accounts",
        description="In the order of their ids, a page at a time.",
        query=AccountListQuery,
        answer=AccountListAnswer,
        answer_example={"accounts": [_ACCOUNT], "nextCursor": None},
        headers=READ_HEADERS,
        problems=READ_PROBLEMS,
    ),
    views.AccountDetailView: Operation(
        operation_id="getAccount",
        tag="accounts",
        summary="Read an account",
        description=_MIN_VERSION,
        query=AccountQuery,
        answer=AccountAnswer,
        answer_example=_ACCOUNT,
        headers=_ACCOUNT_HEADERS,
        problems=_ACCOUNT_PROBLEMS,
    ),
    views.AccountBalanceView: Operation(
        operation_id="getBalance",
        tag="accounts",
        summary="Read a balance",
        description=_MIN_VERSION,
        query=AccountQuery,
        answer=BalanceAnswer,
        answer_example=_BALANCE,
        headers=_ACCOUNT_HEADERS,
        problems=_ACCOUNT_PROBLEMS,
    ),
    views.AccountHistoryView: Operation(
        operation_id="getHistory",
        tag="accounts",
        summary="Read a statement",
        description="Every line carries the balance that it left. Page with `limit` and `after`; `offset` ends at "
        "10,000. " + _MIN_VERSION,
        query=HistoryQuery,
        answer=HistoryAnswer,
        answer_example={"accountId": "acc-1", "entries": [_LINE]},
        headers=_ACCOUNT_HEADERS,
        problems=_ACCOUNT_PROBLEMS,
    ),
}
