"""What can be asked of a transfer: imperative, validated in shape, not yet decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateTransfer:
    """Move money between two accounts. `amount` is in minor units of `currency`.

    `transaction_id` is the client's business reference and may repeat; `client_id` the authenticated client that asks.
    `description` and `metadata` are kept and shown on both statements.
    """

    transfer_id: str
    source_account_id: str
    destination_account_id: str
    amount: int
    currency: str
    transaction_id: str | None = None
    client_id: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleTransfer:
    """Do what is left of a transfer whose source was debited: credit the destination, or give the money back."""

    transfer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeTransfer:
    """Take up a transfer that has stopped, if it has. `jitter`, from 0 to 1, stretches the time until the next try."""

    transfer_id: str
    jitter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpTransfer:
    """Stop resuming a transfer by itself, if its attempts are used up; `error` is what the last one ended with."""

    transfer_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTransfer:
    """Have a stuck transfer resumed again, by somebody who gives a reason."""

    transfer_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSuspense:
    """Pay a refund that its source could not take out of suspense, to `account_id`, for a reason."""

    transfer_id: str
    account_id: str
    reason: str
