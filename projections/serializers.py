"""The query strings of the reads, and how a read model's row is told to a client."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework import serializers

from accounts.domain.money import currency_exponent
from accounts.event_types import EVENT_TYPES
from accounts.serializers import CurrencyField, IdentifierField, QueryIntegerField, StrictQuerySerializer
from projections.models import STATUSES

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
MAX_OFFSET = 10_000

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class InstantField(serializers.Field[datetime, Any, datetime, Any]):
    """A moment in ISO 8601, with its offset from UTC: without one it would be another moment for everybody."""

    default_error_messages: ClassVar = {
        "not_an_instant": "Must be a moment like 2026-03-22T10:00:00.000Z (a + in a URL is written %2B).",
    }

    def to_internal_value(self, data: Any) -> datetime:
        """Return the moment, in UTC."""
        if not _INSTANT.fullmatch(data):
            self.fail("not_an_instant")
        try:
            return datetime.fromisoformat(data).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("not_an_instant")

    def to_representation(self, value: datetime) -> datetime:
        """Return the moment itself."""
        return value


class AccountQuery(StrictQuerySerializer):
    """A read of one account. `minVersion` is the version that it must have reached: the one that a write answered."""

    minVersion = QueryIntegerField(
        min_value=1,
        required=False,
        source="min_version",
        help_text="The version that the account has reached at least.",
    )


class AccountListQuery(StrictQuerySerializer):
    """Which accounts to list; `cursor` is the nextCursor of the page before."""

    ownerId = IdentifierField(required=False, source="owner_id")
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    currency = CurrencyField(required=False)
    cursor = IdentifierField(required=False, help_text="The `nextCursor` of the page before.")
    limit = QueryIntegerField(
        min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="How many accounts a page has at most."
    )


class HistoryQuery(AccountQuery):
    """Which lines of a statement to show.

    `after` is the streamVersion of the last line already seen, in the order asked for. `from` is the first moment that
    counts, `to` the first that no longer does: a month ends where the next one begins.
    """

    limit = QueryIntegerField(
        min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="How many lines to show at most."
    )
    offset = QueryIntegerField(max_value=MAX_OFFSET, default=0, help_text="How many lines to skip.")
    after = QueryIntegerField(required=False, help_text="The `streamVersion` of the last line seen.")
    order = serializers.ChoiceField(choices=("asc", "desc"), default="asc", help_text="Oldest or newest line first.")
    to = InstantField(required=False, help_text="The first moment that no longer counts.")
    type = serializers.ChoiceField(
        choices=tuple(EVENT_TYPES), required=False, help_text="The one kind of event to show."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return all fields, among them the one that Python's grammar keeps from being declared."""
        return {**super().get_fields(), "from": InstantField(required=False, help_text="The first moment that counts.")}


ACCOUNT_COLUMNS = ("account_id", "owner_id", "currency", "status", "balance", "version", "created_at", "updated_at")

_ENTRY_KEYS: Mapping[str, str] = {
    "event_id": "eventId",
    "account_id": "accountId",
    "stream_version": "streamVersion",
    "event_type": "eventType",
    "amount": "amount",
    "currency": "currency",
    "transaction_id": "transactionId",
    "reason": "reason",
    "transfer_id": "transferId",
    "counterparty": "counterparty",
    "description": "description",
    "metadata": "metadata",
    "balance": "balance",
    "occurred_at": "occurredAt",
}
ENTRY_COLUMNS = tuple(_ENTRY_KEYS)


def account_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an account as the API shows it, from a row of ACCOUNT_COLUMNS and VERIFIED_COLUMNS."""
    verified = {"version": row["verified_version"], "at": row["verified_at"]}
    return {
        "accountId": row["account_id"],
        "ownerId": row["owner_id"],
        "currency": row["currency"],
        "currencyExponent": currency_exponent(row["currency"]),
        "status": row["status"],
        "balance": row["balance"],
        "version": row["version"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "verified": None if verified["version"] is None else verified,
    }


def balance_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a balance as the API shows it, from a row of ACCOUNT_COLUMNS."""
    return {
        "accountId": row["account_id"],
        "balance": row["balance"],
        "currency": row["currency"],
        "currencyExponent": currency_exponent(row["currency"]),
        "status": row["status"],
        "version": row["version"],
    }


def entry_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement line as the API shows it, from a row of ENTRY_COLUMNS; what does not apply is left out."""
    entry = {key: row[column] for column, key in _ENTRY_KEYS.items() if row[column] not in (None, {})}
    if "amount" not in entry:
        del entry["currency"]
    return entry
