"""What a bulk of commands may hold: the kinds of commands by their names, and how each is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts.domain import commands
from accounts.permissions import Permission
from accounts.serializers import (
    CommandKeyField,
    CommandSerializer,
    CreateAccountSerializer,
    IdentifierField,
    MovementSerializer,
    ReasonSerializer,
    StrictCharField,
    StrictSerializer,
)
from transfers.domain.commands import InitiateTransfer
from transfers.serializers import TransferSerializer

MAX_COMMANDS = 1_000
_MAX_REPORTED_COMMANDS = 20
_OF_THE_WHOLE = {"command_id": "commandId", "actor": "actor"}
_ACCOUNT_ID = "The account that the command is about."


class AccountMovementSerializer(MovementSerializer):
    """A deposit or a withdrawal, and whose."""

    accountId = IdentifierField(source="account_id", help_text=_ACCOUNT_ID)


class AccountStatusSerializer(ReasonSerializer):
    """A change of an account's status, and whose."""

    accountId = IdentifierField(source="account_id", help_text=_ACCOUNT_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkKind:
    """A kind of command: how it is read, who may send it, and the path of the request that would send it alone.

    `in_path` are the fields that such a request has in its path.
    """

    name: str
    serializer_class: type[CommandSerializer]
    command_class: type[Any]
    permission: Permission
    path: Callable[[Mapping[str, Any]], str]
    in_path: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItem:
    """One command of a bulk, its fields validated, by their Python names."""

    kind: BulkKind
    fields: Mapping[str, Any]


def _on_account(command_class: type[Any], permission: Permission, step: str, serializer_class: Any) -> BulkKind:
    return BulkKind(
        name=command_class.__name__,
        serializer_class=serializer_class,
        command_class=command_class,
        permission=permission,
        path=lambda fields: f"/api/accounts/{fields['account_id']}/{step}",
        in_path=frozenset({"account_id"}),
    )


KINDS: Mapping[str, BulkKind] = {
    kind.name: kind
    for kind in (
        BulkKind(
            name="CreateAccount",
            serializer_class=CreateAccountSerializer,
            command_class=commands.CreateAccount,
            permission=Permission.OPEN_ACCOUNT,
            path=lambda fields: "/api/accounts",
        ),
        _on_account(commands.DepositMoney, Permission.DEPOSIT_MONEY, "deposits", AccountMovementSerializer),
        _on_account(commands.WithdrawMoney, Permission.WITHDRAW_MONEY, "withdrawals", AccountMovementSerializer),
        _on_account(commands.FreezeAccount, Permission.FREEZE_ACCOUNT, "freeze", AccountStatusSerializer),
        _on_account(commands.UnfreezeAccount, Permission.UNFREEZE_ACCOUNT, "unfreeze", AccountStatusSerializer),
        _on_account(commands.CloseAccount, Permission.CLOSE_ACCOUNT, "close", AccountStatusSerializer),
        BulkKind(
            name="InitiateTransfer",
            serializer_class=TransferSerializer,
            command_class=InitiateTransfer,
            permission=Permission.TRANSFER_MONEY,
            path=lambda fields: "/api/transfers",
        ),
    )
}


class StrictBooleanField(serializers.Field[bool, Any, bool, Any]):
    """true or false: no text, no number."""

    default_error_messages: ClassVar = {"not_a_boolean": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Return `data` if it is one of both."""
        if type(data) is not bool:
            self.fail("not_a_boolean")
        return data


class BulkItemsField(serializers.Field[list[BulkItem], Any, list[BulkItem], Any]):
    """1 to MAX_COMMANDS commands, each an object with its `type` and the fields of the request that sends it alone."""

    default_error_messages: ClassVar = {
        "not_a_list": "Must be a list of commands.",
        "empty": "Must hold a command.",
        "too_many": "Must hold at most {max_commands} commands.",
        "not_an_object": "Must be a JSON object.",
        "required": "This field is required.",
        "unknown_type": "Must be one of {types}.",
    }

    def to_internal_value(self, data: Any) -> list[BulkItem]:
        """Return the commands; an error names the index of the command that it is about."""
        if type(data) is not list:
            self.fail("not_a_list")
        if not data:
            self.fail("empty")
        if len(data) > MAX_COMMANDS:
            self.fail("too_many", max_commands=MAX_COMMANDS)
        items: list[BulkItem] = []
        errors: dict[str, Any] = {}
        for index, document in enumerate(data):
            try:
                items.append(self._item(document))
            except ValidationError as error:
                errors[str(index)] = error.detail
                if len(errors) == _MAX_REPORTED_COMMANDS:
                    break
        if errors:
            raise ValidationError(errors)
        return items

    def _item(self, document: Any) -> BulkItem:
        if type(document) is not dict:
            self.fail("not_an_object")
        kind = self._kind(document)
        fields = kind.serializer_class.read(data={name: document[name] for name in document if name != "type"})
        return BulkItem(kind=kind, fields=fields)

    def _kind(self, document: Mapping[str, Any]) -> BulkKind:
        if "type" not in document:
            raise ValidationError({"type": [ErrorDetail(str(self.error_messages["required"]), code="required")]})
        name = document["type"]
        if type(name) is not str or name not in KINDS:
            detail = str(self.error_messages["unknown_type"]).format(types=", ".join(KINDS))
            raise ValidationError({"type": [ErrorDetail(detail, code="unknown_type")]})
        return KINDS[name]


class BulkSerializer(StrictSerializer):
    """Many commands in one request."""

    atomic = StrictBooleanField(
        default=False,
        help_text="true: all of them happen or none; false: each on its own, one after another.",
    )
    commandId = CommandKeyField(
        required=False, source="command_id", help_text="The key of the whole, as `Idempotency-Key` may give it instead."
    )
    actor = StrictCharField(max_length=255, required=False, help_text="On whose behalf the client sends it.")
    commands = BulkItemsField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what a command that is part of one commit cannot have for its own."""
        if not attrs["atomic"]:
            return attrs
        detail = [ErrorDetail("Belongs to the whole, if it is atomic.", code="not_in_atomic")]
        errors: dict[str, Any] = {}
        for index, item in enumerate(attrs["commands"]):
            if own := {name: detail for source, name in _OF_THE_WHOLE.items() if source in item.fields}:
                errors[str(index)] = own
        if errors:
            raise ValidationError({"commands": dict(islice(errors.items(), _MAX_REPORTED_COMMANDS))})
        return attrs
