"""What a client can ask of an account: imperative, validated in shape, not yet decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EXTERNAL = "external"
"""The bank's own account on the other side of a movement that enters or leaves the bank."""

TRANSIT = "transit"
"""The bank's own account on the other side of a transfer's legs: what stands on it is in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCommand:
    """What every command carries: the account, and a note kept in the event and shown on the statement.

    `metadata` is a flat map of at most 20 short strings.
    """

    account_id: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount(AccountCommand):
    """Open an account. `currency` is its ISO 4217 code; `client_id` the authenticated client that opens it."""

    owner_id: str
    currency: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement(AccountCommand):
    """Money in or out. `amount` is in minor units of `currency`.

    `transaction_id` is the client's business reference and may repeat. `contra` is the bank's own account on the other
    side. `transfer_id` and `counterparty` (the other account) are set on the legs of a transfer.
    """

    amount: int
    currency: str
    transaction_id: str | None = None
    contra: str = EXTERNAL
    transfer_id: str | None = None
    counterparty: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositMoney(Movement):
    """Add money to an account.

    `refund` marks the return of a transfer's money to its source (with `contra` transit): a frozen account takes it.
    """

    refund: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawMoney(Movement):
    """Take money from an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeAccount(AccountCommand):
    """Stop all movements of an account."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeAccount(AccountCommand):
    """Allow movements again."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAccount(AccountCommand):
    """End an account for good; its balance must be 0."""

    reason: str | None = None
