"""The POSTs on accounts: each reads one command, has it handled, and renders the verdict."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

from accounts import handlers
from accounts.api_view import ApiView, json_answer, json_content
from accounts.command_context import authenticated_client, command_context
from accounts.domain import commands
from accounts.permissions import Permission, reach_of
from accounts.repository import account_stream_id
from accounts.serializers import (
    CommandSerializer,
    CreateAccountSerializer,
    MovementSerializer,
    NoQuery,
    ReasonSerializer,
    StrictSerializer,
    read_path_identifier,
)
from eventstore.exceptions import CommandRefused
from eventstore.records import Outcome

SURROUNDINGS = frozenset({"command_id", "actor", "expected_version"})
"""Fields of a request that surround its command and are no part of it."""


def read_content(*, request: HttpRequest, serializer_class: type[StrictSerializer]) -> dict[str, Any]:
    """Return the validated fields of the command in `request`, by their Python names.

    Raises ParseError or ValidationError. A query string would be no part of the fingerprint, and is none of any
    command: whatever is in it, its sender expected it to count.
    """
    if request.META.get("QUERY_STRING"):
        NoQuery.read(data=request.GET)
    return serializer_class.read(data=json_content(request=request))


def accepted(*, outcome: Outcome) -> HttpResponse:
    """Return the answer to an accepted command, from its outcome alone: so a replay is the first answer again.

    Raises CommandRefused if the verdict is a refusal.
    """
    if outcome.refused:
        raise CommandRefused(outcome=outcome)
    content = accepted_content(outcome=outcome)
    headers = {"ETag": f'"{content["version"]}"'}
    if outcome.replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_answer(content=content, status=201, headers=headers)


def accepted_content(*, outcome: Outcome) -> dict[str, Any]:
    """Return what the answer to an accepted command says."""
    result = outcome.result
    # Named one by one, for the log does not keep the order of names.
    return {
        "status": result["status"],
        "accountId": result["accountId"],
        "eventId": result["eventId"],
        "version": result["version"],
        "position": outcome.last_position,
        "balance": result["balance"],
        "currency": result["currency"],
        "currencyExponent": result["currencyExponent"],
    }


class CreateAccountView(ApiView):
    """Opens an account."""

    permission = Permission.OPEN_ACCOUNT
    is_fiber = True

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer 201, or the problem that keeps the account from being opened."""
        fields = read_content(request=request, serializer_class=CreateAccountSerializer)
        context = command_context(request=request, fields=fields, stream_id=account_stream_id(fields["account_id"]))
        command = commands.CreateAccount(client_id=authenticated_client(request=request), **_command_fields(fields))
        return accepted(outcome=handlers.create_account(command=command, context=context, reach=reach_of(request)))


class AccountCommandView(ApiView):
    """A command on the account that the path names."""

    permission: ClassVar[Permission]
    is_fiber = True
    serializer_class: ClassVar[type[CommandSerializer]]
    command_class: ClassVar[type[commands.AccountCommand]]
    handle: ClassVar[Callable[..., Outcome]]

    def post(self, request: HttpRequest, account_id: str) -> HttpResponse:
        """Answer 201, or the problem that the account's rules make of it."""
        read_path_identifier(name="accountId", value=account_id)
        fields = read_content(request=request, serializer_class=self.serializer_class)
        context = command_context(request=request, fields=fields, stream_id=account_stream_id(account_id))
        command = self.command_class(account_id=account_id, **_command_fields(fields))
        return accepted(outcome=self.handle(command=command, context=context, reach=reach_of(request)))


class DepositView(AccountCommandView):
    """Money in."""

    permission = Permission.DEPOSIT_MONEY
    serializer_class = MovementSerializer
    command_class = commands.DepositMoney
    handle = staticmethod(handlers.deposit_money)


class WithdrawalView(AccountCommandView):
    """Money out."""

    permission = Permission.WITHDRAW_MONEY
    serializer_class = MovementSerializer
    command_class = commands.WithdrawMoney
    handle = staticmethod(handlers.withdraw_money)


class FreezeView(AccountCommandView):
    """Stops all movements."""

    permission = Permission.FREEZE_ACCOUNT
    serializer_class = ReasonSerializer
    command_class = commands.FreezeAccount
    handle = staticmethod(handlers.freeze_account)


class UnfreezeView(AccountCommandView):
    """Allows movements again."""

    permission = Permission.UNFREEZE_ACCOUNT
    serializer_class = ReasonSerializer
    command_class = commands.UnfreezeAccount
    handle = staticmethod(handlers.unfreeze_account)


class CloseView(AccountCommandView):
    """Ends an account."""

    permission = Permission.CLOSE_ACCOUNT
    serializer_class = ReasonSerializer
    command_class = commands.CloseAccount
    handle = staticmethod(handlers.close_account)


def _command_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in SURROUNDINGS}
