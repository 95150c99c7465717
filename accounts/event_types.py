"""How account events are stored: name and schema version by class, key by field, and what old versions become."""

from collections.abc import Mapping

from accounts.domain.commands import EXTERNAL
from accounts.domain.events import (
    AccountClosed,
    AccountCreated,
    AccountEvent,
    AccountFrozen,
    AccountUnfrozen,
    MoneyDeposited,
    MoneyWithdrawn,
)
from accounts.event_codec import EventCodec, Upcaster
from eventstore.records import JsonObject

EVENT_TYPES: Mapping[str, tuple[int, type[AccountEvent]]] = {
    "AccountCreated": (1, AccountCreated),
    "MoneyDeposited": (2, MoneyDeposited),
    "MoneyWithdrawn": (2, MoneyWithdrawn),
    "AccountFrozen": (1, AccountFrozen),
    "AccountUnfrozen": (1, AccountUnfrozen),
    "AccountClosed": (1, AccountClosed),
}
"""Stored name: present schema version, and the class. Stored names outlive the classes' names."""

STORED_FIELDS: Mapping[str, tuple[str, type]] = {
    "account_id": ("accountId", str),
    "owner_id": ("ownerId", str),
    "client_id": ("clientId", str),
    "currency": ("currency", str),
    "amount": ("amount", int),
    "contra": ("contra", str),
    "transaction_id": ("transactionId", str),
    "transfer_id": ("transferId", str),
    "counterparty": ("counterparty", str),
    "refund": ("refund", bool),
    "reason": ("reason", str),
    "description": ("description", str),
    "metadata": ("metadata", dict),
}
"""Field of an event: its key in stored data, and the kind of its value there."""


def _add_contra(data: JsonObject) -> JsonObject:
    """Version 1 knew no account on the other side: all money came from outside and went there."""
    return {**data, "contra": EXTERNAL}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("MoneyDeposited", 1): _add_contra,
    ("MoneyWithdrawn", 1): _add_contra,
}
"""Stored name and old schema version: what makes its data that of the next version."""


_codec: EventCodec[AccountEvent] = EventCodec(event_types=EVENT_TYPES, stored_fields=STORED_FIELDS, upcasters=UPCASTERS)
encode = _codec.encode
decode = _codec.decode
draft = _codec.draft
