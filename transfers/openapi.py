"""What the OpenAPI schema says of the POST on transfers."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from accounts.openapi import COMMAND_HEADERS, COMMAND_PROBLEMS, ETAG, Operation, Operations
from accounts.serializers import AmountField, CurrencyField, IdentifierField, StrictIntegerField, StrictSerializer
from transfers import views
from transfers.serializers import TransferSerializer

IN_FLIGHT_STATES = ("PENDING", "STUCK")

TRANSFER_ETAG = OpenApiParameter(
    "ETag",
    {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The version of the transfer.",
    response=[200, 201, 202],
)


class AcceptedTransfer(StrictSerializer):
    """How a transfer stands that was not refused."""

    status = serializers.ChoiceField(choices=["accepted"])
    transferId = IdentifierField()
    state = serializers.ChoiceField(choices=["COMPLETED", *IN_FLIGHT_STATES])
    version = StrictIntegerField(min_value=1, help_text="The transfer's version, for `minVersion`.")
    position = StrictIntegerField(
        min_value=1, allow_null=True, help_text="Where the last event stands in the log of the whole bank."
    )
    sourceAccountId = IdentifierField()
    destinationAccountId = IdentifierField()
    amount = AmountField(help_text="In minor units of `currency`.")
    currency = CurrencyField()
    currencyExponent = StrictIntegerField(max_value=18, help_text="The decimals of the major unit: 2 for USD.")


_ORDER = {"sourceAccountId": "acc-1", "destinationAccountId": "acc-2", "amount": 250, "currency": "USD"}

OPERATIONS: Operations = {
    views.InitiateTransferView: Operation(
        operation_id="transferMoney",
        tag="transfers",
        summary="Move money to another account",
        description="All of it or nothing. 202 says that the money has left the source and the rest goes on in the "
        "background. A refusal by a rule of either account is a transfer that FAILED: it is told with its "
        "`transferId`, and nothing is left debited. A `transferId` that the client chose names one transfer for ever: "
        "sent again in the same words, it is told how that one stands. An expected version is the source's.",
        request=TransferSerializer,
        request_example=_ORDER | {"transactionId": "invoice-7"},
        status=201,
        more_statuses=(202,),
        answer=AcceptedTransfer,
        answer_example={
            "status": "accepted",
            "transferId": "trf-1",
            "state": "COMPLETED",
            "version": 2,
            "position": 46,
            **_ORDER,
            "currencyExponent": 2,
        },
        headers=tuple(TRANSFER_ETAG if header is ETAG else header for header in COMMAND_HEADERS),
        problems=(
            *COMMAND_PROBLEMS,
            "account_not_found",
            "account_closed",
            "account_frozen",
            "currency_mismatch",
            "insufficient_funds",
            "balance_limit_exceeded",
            "destination_not_found",
            "transfer_exists",
        ),
    ),
}
