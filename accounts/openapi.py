"""What the OpenAPI schema says of the POSTs on accounts, and the form in which every app says such things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from accounts import views
from accounts.openapi_fields import JsonSchema
from accounts.serializers import (
    CreateAccountSerializer,
    CurrencyField,
    IdentifierField,
    MovementSerializer,
    ReasonSerializer,
    StrictIntegerField,
    StrictQuerySerializer,
    StrictSerializer,
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path. `problems` are the codes of what may go wrong beyond what goes wrong everywhere.

    `answer` is the serializer, or the schema, of an answer of `status` or of one of `more_statuses`; `headers` are
    those of requests and answers.
    """

    operation_id: str
    tag: str
    summary: str
    description: str = ""
    request: type[StrictSerializer] | None = None
    request_example: Any = None
    content_is_optional: bool = False
    query: type[StrictQuerySerializer] | None = None
    status: int = 200
    more_statuses: tuple[int, ...] = ()
    answer: type[StrictSerializer] | JsonSchema
    answer_example: Any = None
    media_type: str = "application/json"
    headers: tuple[OpenApiParameter, ...] = ()
    problems: tuple[str, ...] = ()


Operations = Mapping[Callable[..., Any], Operation]
"""Operations by their views: classes of DRF's views, or plain functions."""

ETAG = OpenApiParameter(
    "ETag",
    {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The version of the account, as If-Match takes it.",
    response=[200, 201],
)

# Any 16 digits pass the pattern that the bank checks first; those above 2^53-1 fail the next check. The schema stays
# below, with 15: no account comes near.
_VERSION = "(0|[1-9][0-9]{0,14})"
_KEY_CHARACTER = r'([!#-\[\]-~]|\\["\\])'

COMMAND_HEADERS = (
    OpenApiParameter(
        "Idempotency-Key",
        {
            "type": "string",
            "pattern": rf'^([!#-+\--:<-\[\]-~]{{1,255}}|"{_KEY_CHARACTER}( |{_KEY_CHARACTER}){{0,254}}")$',
        },
        OpenApiParameter.HEADER,
        description="The command's key, bare or quoted: 1 to 255 visible ASCII characters. Sent twice, the command is "
        "done once, and both get the first answer. The field `commandId` is the same key in another place.",
    ),
    OpenApiParameter(
        "If-Match",
        {"type": "string", "pattern": f'^("{_VERSION}"|{_VERSION})$'},
        OpenApiParameter.HEADER,
        description="The version that the account must have, as an ETag or bare; otherwise the command is refused "
        "with `version_conflict`. The field `expectedVersion` is the same in another place.",
    ),
    ETAG,
    OpenApiParameter(
        "Idempotent-Replayed",
        {"type": "string", "const": "true"},
        OpenApiParameter.HEADER,
        description="This is the answer to an earlier request with the same key.",
        response=[201, 202, 404, 409, 422],
    ),
)

COMMAND_PROBLEMS = (
    "malformed_json",
    "validation_error",
    "idempotency_key_required",
    "version_conflict",
    "payload_too_large",
    "unsupported_media_type",
    "idempotency_key_reused",
    "account_reserved",
    "store_unavailable",
    "contention",
    "overloaded",
)


class Accepted(StrictSerializer):
    """The verdict on a command that was accepted: what it made of the account."""

    status = serializers.ChoiceField(choices=["accepted"])
    accountId = IdentifierField()
    eventId = serializers.UUIDField(help_text="The event that the command led to.")
    version = StrictIntegerField(min_value=1, help_text="The account's version after the command.")
    position = StrictIntegerField(min_value=1, help_text="Where the event stands in the log of the whole bank.")
    balance = StrictIntegerField(help_text="In minor units of `currency`.")
    currency = CurrencyField()
    currencyExponent = StrictIntegerField(max_value=18, help_text="The decimals of the major unit: 2 for USD.")


ACCEPTED_EXAMPLE = {
    "status": "accepted",
    "accountId": "acc-1",
    "eventId": "0b0f1c9e-7a54-4d0e-9d3b-3c0f5f1f2a77",
    "version": 3,
    "position": 42,
    "balance": 800,
    "currency": "USD",
    "currencyExponent": 2,
}
_ON_AN_OPEN_ACCOUNT = (*COMMAND_PROBLEMS, "account_not_found", "account_closed")


@dataclass(frozen=True, kw_only=True)
class _Command(Operation):
    """A command: it is answered in one form, and never twice."""

    tag: str = "accounts"
    status: int = 201
    answer: type[StrictSerializer] | JsonSchema = Accepted
    answer_example: Any = None
    headers: tuple[OpenApiParameter, ...] = COMMAND_HEADERS


OPERATIONS: Operations = {
    views.CreateAccountView: _Command(
        operation_id="createAccount",
        summary="Open an account",
        description="An id is used once: not even a closed account can be opened again.",
        request=CreateAccountSerializer,
        request_example={"accountId": "acc-1", "ownerId": "user-1", "currency": "USD"},
        answer_example=ACCEPTED_EXAMPLE | {"version": 1, "position": 40, "balance": 0},
        problems=(*COMMAND_PROBLEMS, "account_exists"),
    ),
    views.DepositView: _Command(
        operation_id="depositMoney",
        summary="Put money in",
        description="Refused while the account is frozen, and if the balance would pass 2^53-1.",
        request=MovementSerializer,
        request_example={"amount": 1000, "currency": "USD", "transactionId": "txn-1"},
        answer_example=ACCEPTED_EXAMPLE | {"version": 2, "position": 41, "balance": 1000},
        problems=(*_ON_AN_OPEN_ACCOUNT, "account_frozen", "currency_mismatch", "balance_limit_exceeded"),
    ),
    views.WithdrawalView: _Command(
        operation_id="withdrawMoney",
        summary="Take money out",
        description="Refused while the account is frozen, and beyond its balance.",
        request=MovementSerializer,
        request_example={"amount": 200, "currency": "USD", "transactionId": "txn-2"},
        answer_example=ACCEPTED_EXAMPLE,
        problems=(*_ON_AN_OPEN_ACCOUNT, "account_frozen", "currency_mismatch", "insufficient_funds"),
    ),
    views.FreezeView: _Command(
        operation_id="freezeAccount",
        summary="Stop all movements",
        request=ReasonSerializer,
        request_example={"reason": "compliance review"},
        answer_example=ACCEPTED_EXAMPLE | {"version": 4, "position": 43},
        problems=(*_ON_AN_OPEN_ACCOUNT, "account_frozen"),
    ),
    views.UnfreezeView: _Command(
        operation_id="unfreezeAccount",
        summary="Allow movements again",
        request=ReasonSerializer,
        request_example={"reason": "review is over"},
        answer_example=ACCEPTED_EXAMPLE | {"version": 5, "position": 44},
        problems=(*_ON_AN_OPEN_ACCOUNT, "account_not_frozen"),
    ),
    views.CloseView: _Command(
        operation_id="closeAccount",
        summary="End an account",
        description="Its balance must be 0, and it must not be frozen. There is no way back.",
        request=ReasonSerializer,
        request_example={"reason": "asked for by its owner"},
        answer_example=ACCEPTED_EXAMPLE | {"version": 6, "position": 45, "balance": 0},
        problems=(*_ON_AN_OPEN_ACCOUNT, "account_frozen", "balance_not_zero"),
    ),
}
