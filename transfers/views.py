"""The POST on transfers: reads the command, has it handled, and renders how the transfer stands."""

from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from accounts.api_view import ApiView, json_answer
from accounts.command_context import authenticated_client, command_context
from accounts.permissions import Permission, reach_of
from accounts.repository import account_stream_id
from accounts.views import SURROUNDINGS, read_content
from eventstore.exceptions import CommandRefused
from eventstore.records import Outcome
from transfers.domain.commands import InitiateTransfer
from transfers.handlers import initiate_transfer
from transfers.serializers import TransferSerializer


def transfer_status(*, outcome: Outcome) -> int:
    """Return the HTTP status of a transfer that was accepted: 202 while it is still on its way."""
    return 201 if outcome.result["state"] == "COMPLETED" else 202


def transfer_content(*, outcome: Outcome) -> dict[str, Any]:
    """Return what the answer to an accepted transfer says."""
    result = outcome.result
    # Named one by one, for the log does not keep the order of names.
    return {
        "status": result["status"],
        "transferId": result["transferId"],
        "state": result["state"],
        "version": result["version"],
        "position": outcome.last_position,
        "sourceAccountId": result["sourceAccountId"],
        "destinationAccountId": result["destinationAccountId"],
        "amount": result["amount"],
        "currency": result["currency"],
        "currencyExponent": result["currencyExponent"],
    }


class InitiateTransferView(ApiView):
    """Moves money from one account to another."""

    permission = Permission.TRANSFER_MONEY
    is_fiber = True

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer 201, or 202 if the transfer goes on in the background, or the problem that keeps it from being made.

        A refusal by a rule is a FAILED transfer; it is told with its `transferId`.
        """
        fields = read_content(request=request, serializer_class=TransferSerializer)
        stream_id = account_stream_id(fields["source_account_id"])
        context = command_context(request=request, fields=fields, stream_id=stream_id)
        order = {name: value for name, value in fields.items() if name not in SURROUNDINGS}
        order.setdefault("transfer_id", str(uuid4()))
        command = InitiateTransfer(client_id=authenticated_client(request=request), **order)
        outcome = initiate_transfer(command=command, context=context, reach=reach_of(request))
        if outcome.refused:
            raise CommandRefused(outcome=outcome)
        content = transfer_content(outcome=outcome)
        headers = {"ETag": f'"{content["version"]}"'} | ({"Idempotent-Replayed": "true"} if outcome.replayed else {})
        return json_answer(content=content, status=transfer_status(outcome=outcome), headers=headers)
