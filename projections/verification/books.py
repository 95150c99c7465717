"""Whether money is conserved: totals by currency, and the movements that each transfer must have, no more, no less."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

from accounts.domain.account import Account, AccountStatus
from accounts.domain.commands import TRANSIT
from accounts.domain.events import AccountEvent, MoneyDeposited, MoneyMoved
from accounts.domain.own_accounts import is_reserved
from projections.verification.differences import Difference, difference
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState

BUCKETS = 256
_MODULUS = 2**128


class Leg(NamedTuple):
    """A movement of a transfer: which account, how much (negative: out of it), and whether it came back."""

    account_id: str
    amount: int
    currency: str
    refund: bool


@dataclass(slots=True)
class Totals:
    """Minor units of one currency: what came from outside, what accounts and suspense hold, what is in flight."""

    external: int = 0
    balances: int = 0
    suspense: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class Books:
    """What movements and transfers of the log add up to, in any order and in memory that does not grow with the log.

    Each transfer belongs to one of BUCKETS. A bucket adds up the hashes of the legs that there are, less those that
    there must be: anything but 0 says that a transfer of that bucket has too many or too few.
    """

    totals: dict[str, Totals] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add_event(self, event: AccountEvent) -> None:
        """Add one event of an account."""
        if not isinstance(event, MoneyMoved):
            return
        leg = leg_of(event)
        if event.contra != TRANSIT:
            self._totals(event.currency).external += leg.amount
        if event.contra == TRANSIT or event.transfer_id:
            self._add_leg(event.transfer_id or "", leg, 1)

    def add_account(self, account: Account) -> None:
        """Add an account as it stands after its last event."""
        if account.status is AccountStatus.NEW:
            return
        totals = self._totals(account.currency)
        if is_reserved(account.account_id):
            totals.suspense += account.balance
        else:
            totals.balances += account.balance

    def add_transfer(self, transfer: Transfer) -> None:
        """Add a transfer as it stands after its last event."""
        if transfer.initiated is None:
            return
        if transfer.state in IN_FLIGHT:
            self._totals(transfer.order.currency).in_flight += transfer.order.amount
        for leg in legs_that_make(transfer):
            self._add_leg(transfer.order.transfer_id, leg, -1)

    def differences(self) -> Iterator[Difference]:
        """Yield the currencies whose money does not add up."""
        for currency, totals in sorted(self.totals.items()):
            held = totals.balances + totals.suspense + totals.in_flight
            if totals.external != held:
                yield difference(
                    check="books",
                    place="totals",
                    key=currency,
                    column="external = balances + suspense + in flight",
                    expected=totals.external,
                    actual=f"{held} = {totals.balances} + {totals.suspense} + {totals.in_flight}",
                )

    def bad_buckets(self) -> list[int]:
        """Return the buckets in which some transfer's legs are not those that make it."""
        return [number for number, total in enumerate(self.buckets) if total]

    def copy(self) -> "Books":
        """Return the same, to be added to."""
        totals = {currency: replace(totals) for currency, totals in self.totals.items()}
        return Books(totals=totals, buckets=list(self.buckets))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON, in text: the numbers are bigger than JSON keeps exactly."""
        return {
            "totals": {
                currency: [str(n) for n in (totals.external, totals.balances, totals.suspense, totals.in_flight)]
                for currency, totals in self.totals.items()
            },
            "buckets": [f"{total:x}" for total in self.buckets],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Books":
        """Return what `to_json` told; empty books if that is empty."""
        if not document:
            return cls()
        return cls(
            totals={currency: Totals(*map(int, numbers)) for currency, numbers in document["totals"].items()},
            buckets=[int(total, 16) for total in document["buckets"]],
        )

    def _totals(self, currency: str) -> Totals:
        return self.totals.setdefault(currency, Totals())

    def _add_leg(self, transfer_id: str, leg: Leg, sign: int) -> None:
        text = f"{transfer_id}\n{leg.account_id}\n{leg.amount}\n{leg.currency}\n{leg.refund}"
        number = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")
        bucket = bucket_of(transfer_id)
        self.buckets[bucket] = (self.buckets[bucket] + sign * number) % _MODULUS


def bucket_of(transfer_id: str) -> int:
    """Return the bucket that a transfer belongs to."""
    return zlib.crc32(transfer_id.encode()) % BUCKETS


def leg_of(movement: MoneyMoved) -> Leg:
    """Return a movement as a leg of its transfer."""
    amount = movement.amount if isinstance(movement, MoneyDeposited) else -movement.amount
    return Leg(movement.account_id, amount, movement.currency, getattr(movement, "refund", False))


def legs_that_make(transfer: Transfer) -> list[Leg]:
    """Return the movements that there must be, no more and no less, for a transfer to be what it is."""
    if transfer.initiated is None:
        return []
    order, failure = transfer.order, transfer.failure
    debit = Leg(order.source_account_id, -order.amount, order.currency, False)
    if transfer.state is TransferState.COMPLETED:
        return [debit, Leg(order.destination_account_id, order.amount, order.currency, False)]
    if transfer.state in IN_FLIGHT:
        return [debit]
    if failure is None or failure.refunded_to is None:
        return []
    back_to = failure.refunded_to
    back = Leg(back_to, order.amount, order.currency, back_to == order.source_account_id)
    if transfer.released_to is None:
        return [debit, back]
    out = Leg(back_to, -order.amount, order.currency, False)
    return [debit, back, out, Leg(transfer.released_to, order.amount, order.currency, False)]
