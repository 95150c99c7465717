"""What the OpenAPI schema says of the GETs on transfers."""

from rest_framework import serializers

from accounts.openapi import Operation, Operations
from accounts.serializers import (
    AmountField,
    CurrencyField,
    IdentifierField,
    MetadataField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
)
from projections import transfer_views as views
from projections.models import TRANSFER_STATES
from projections.openapi import READ_HEADERS, READ_PROBLEMS
from transfers.openapi import TRANSFER_ETAG


class Failure(StrictSerializer):
    """Why a transfer failed, and where debited money went."""

    code = StrictCharField(max_length=64, help_text="The code of the rule that refused it.")
    refundedTo = IdentifierField(required=False, help_text="The account that was given the debited money back.")
    releasedTo = IdentifierField(
        required=False, help_text="The account that staff had it paid to, if it went into suspense."
    )


class TransferAnswer(StrictSerializer):
    """A transfer. What does not apply to it is left out."""

    transferId = IdentifierField()
    state = serializers.ChoiceField(choices=TRANSFER_STATES)
    sourceAccountId = IdentifierField()
    destinationAccountId = IdentifierField()
    amount = AmountField(help_text="In minor units of `currency`.")
    currency = CurrencyField()
    currencyExponent = StrictIntegerField(max_value=18, help_text="The decimals of the major unit: 2 for USD.")
    transactionId = StrictCharField(max_length=255, required=False)
    description = StrictCharField(max_length=500, required=False)
    metadata = MetadataField(required=False)
    failure = Failure(required=False)
    version = StrictIntegerField(min_value=1)
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField(help_text="When its last event occurred.")


class TransferListAnswer(StrictSerializer):
    """A page of transfers."""

    transfers = TransferAnswer(many=True)
    nextCursor = StrictIntegerField(
        min_value=1, allow_null=True, help_text="The `cursor` of the next page; null on the last one."
    )


_TRANSFER = {
    "transferId": "trf-1",
    "state": "COMPLETED",
    "sourceAccountId": "acc-1",
    "destinationAccountId": "acc-2",
    "amount": 250,
    "currency": "USD",
    "currencyExponent": 2,
    "transactionId": "invoice-7",
    "version": 2,
    "createdAt": "2026-03-22T10:10:00.000Z",
    "updatedAt": "2026-03-22T10:10:00.000Z",
}

OPERATIONS: Operations = {
    views.TransferListView: Operation(
        operation_id="listTransfers",
        tag="transfers",
        summary="List transfers",
        description="The latest first, a page at a time. A client sees those that it asked for, those that draw on its "
        "accounts, and those that have reached them.",
        query=views.TransferListQuery,
        answer=TransferListAnswer,
        answer_example={"transfers": [_TRANSFER], "nextCursor": None},
        headers=READ_HEADERS,
        problems=READ_PROBLEMS,
    ),
    views.TransferDetailView: Operation(
        operation_id="getTransfer",
        tag="transfers",
        summary="Read a transfer",
        description="A transfer that was just asked for is found at once. With `minVersion`, the `version` that a "
        "write answered, the answer is never older than that.",
        query=views.TransferQuery,
        answer=TransferAnswer,
        answer_example=_TRANSFER,
        headers=(*READ_HEADERS, TRANSFER_ETAG),
        problems=(*READ_PROBLEMS, "transfer_not_found", "version_conflict"),
    ),
}
