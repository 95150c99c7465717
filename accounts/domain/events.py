"""What happened to an account: past tense, immutable, the only truth about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """What every event carries: the account and the note given with its command."""

    account_id: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCreated(AccountEvent):
    """An account was opened. `client_id` is the authenticated client that opened it, if there was one."""

    owner_id: str
    currency: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyMoved(AccountEvent):
    """What deposits and withdrawals share; `amount` is in minor units of `currency`.

    `contra` is the bank's own account that took the other side, so every movement is a double entry.
    """

    amount: int
    currency: str
    contra: str
    transaction_id: str | None = None
    transfer_id: str | None = None
    counterparty: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyDeposited(MoneyMoved):
    """Money came in; as a `refund` if it is a transfer's money coming back to its source."""

    refund: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyWithdrawn(MoneyMoved):
    """Money went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFrozen(AccountEvent):
    """All movements were stopped."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUnfrozen(AccountEvent):
    """Movements were allowed again."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClosed(AccountEvent):
    """The account ended; nothing follows."""

    reason: str | None = None
