"""The shape of what clients ask of transfers."""

from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts.domain.own_accounts import is_reserved
from accounts.serializers import IdentifierField, MovementSerializer


class TransferSerializer(MovementSerializer):
    """Money from one account to another; an expected version is the source's."""

    sourceAccountId = IdentifierField(source="source_account_id")
    destinationAccountId = IdentifierField(source="destination_account_id")
    transferId = IdentifierField(required=False, source="transfer_id")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a transfer that leads nowhere, or from or to an account of the bank's own."""
        ends = {"sourceAccountId": attrs["source_account_id"], "destinationAccountId": attrs["destination_account_id"]}
        errors = {
            name: [ErrorDetail("Must not be one of the bank's own accounts.", code="reserved")]
            for name, account_id in ends.items()
            if is_reserved(account_id)
        }
        if len(set(ends.values())) == 1:
            errors["destinationAccountId"] = [ErrorDetail("Must be another account.", code="same_account")]
        if errors:
            raise ValidationError(errors)
        return attrs
