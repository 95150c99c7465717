"""What happened to a transfer: past tense, immutable; the movements themselves are in the accounts' streams."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEvent:
    """What every event carries."""

    transfer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferInitiated(TransferEvent):
    """A transfer was asked for, in these words."""

    source_account_id: str
    destination_account_id: str
    amount: int
    currency: str
    transaction_id: str | None = None
    client_id: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferDebited(TransferEvent):
    """The money left the source and is in flight. From `resume_at` (ISO 8601, UTC) anybody may take the transfer up."""

    resume_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCompleted(TransferEvent):
    """The money reached the destination; nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFailed(TransferEvent):
    """A rule of an account, named by `code` and `fields`, kept the money from being moved.

    `refunded_to` is the account that was given the debited money back, None if nothing had been debited.
    """

    code: str
    fields: Mapping[str, Any]
    refunded_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResumed(TransferEvent):
    """A stopped transfer was taken up, for the `attempt`th time; it is left to whoever did so until `resume_at`."""

    attempt: int
    resume_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStuck(TransferEvent):
    """All `attempts` failed, the last one with `error`; somebody has to look at it."""

    attempts: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRetried(TransferEvent):
    """Somebody had a stuck transfer resumed again, from `resume_at`."""

    reason: str
    resume_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReleased(TransferEvent):
    """Somebody had the refund that stood in suspense paid to `account_id`."""

    account_id: str
    reason: str
