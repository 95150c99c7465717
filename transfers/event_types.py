"""How transfer events are stored: name and schema version by class, key by field."""

from collections.abc import Mapping

from accounts.event_codec import EventCodec
from transfers.domain.events import (
    TransferCompleted,
    TransferDebited,
    TransferEvent,
    TransferFailed,
    TransferInitiated,
    TransferReleased,
    TransferResumed,
    TransferRetried,
    TransferStuck,
)

EVENT_TYPES: Mapping[str, tuple[int, type[TransferEvent]]] = {
    "TransferInitiated": (1, TransferInitiated),
    "TransferDebited": (1, TransferDebited),
    "TransferCompleted": (1, TransferCompleted),
    "TransferFailed": (1, TransferFailed),
    "TransferResumed": (1, TransferResumed),
    "TransferStuck": (1, TransferStuck),
    "TransferRetried": (1, TransferRetried),
    "TransferReleased": (1, TransferReleased),
}
"""Stored name: present schema version, and the class. Stored names outlive the classes' names.

A trigger on the log knows those that begin, delay and end a transfer's time in flight: see migrations/0001_initial.sql.
"""

STORED_FIELDS: Mapping[str, tuple[str, type]] = {
    "transfer_id": ("transferId", str),
    "source_account_id": ("sourceAccountId", str),
    "destination_account_id": ("destinationAccountId", str),
    "amount": ("amount", int),
    "currency": ("currency", str),
    "transaction_id": ("transactionId", str),
    "client_id": ("clientId", str),
    "description": ("description", str),
    "metadata": ("metadata", dict),
    "resume_at": ("resumeAt", str),
    "code": ("code", str),
    "fields": ("fields", dict),
    "refunded_to": ("refundedTo", str),
    "attempt": ("attempt", int),
    "attempts": ("attempts", int),
    "error": ("error", str),
    "reason": ("reason", str),
    "account_id": ("accountId", str),
}
"""Field of an event: its key in stored data, and the kind of its value there."""

_codec: EventCodec[TransferEvent] = EventCodec(event_types=EVENT_TYPES, stored_fields=STORED_FIELDS, upcasters={})
encode = _codec.encode
decode = _codec.decode
draft = _codec.draft
