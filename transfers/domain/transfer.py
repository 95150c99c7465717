"""The transfer: what its events make of it, and what may be done about one that does not go on by itself."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from accounts.domain.money import require_amount
from accounts.domain.own_accounts import is_reserved
from transfers.domain.commands import InitiateTransfer, RetryTransfer
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
from transfers.domain.exceptions import (
    ImpossibleTransferEvent,
    NothingInSuspense,
    TransferExists,
    TransferNotFound,
    TransferNotStuck,
)


class TransferState(StrEnum):
    """Where a transfer is in its life; NEW is one that nobody asked for, PENDING one whose money is in flight."""

    NEW = "NEW"
    INITIATED = "INITIATED"
    PENDING = "PENDING"
    STUCK = "STUCK"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


IN_FLIGHT = frozenset({TransferState.PENDING, TransferState.STUCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a transfer has come to.

    `attempts` counts how often it was taken up since it was debited or last retried; `resume_at` is when it may be
    taken up next (ISO 8601, UTC), while it is PENDING. `failure` tells why it is FAILED and where the money went.
    """

    initiated: TransferInitiated | None = None
    state: TransferState = TransferState.NEW
    attempts: int = 0
    resume_at: str | None = None
    failure: TransferFailed | None = None
    released_to: str | None = None

    @property
    def order(self) -> TransferInitiated:
        """What was asked for; there must be a transfer."""
        if self.initiated is None:
            raise ValueError("nobody asked for this transfer")
        return self.initiated

    def initiate(self, command: InitiateTransfer) -> tuple[TransferInitiated, ...]:
        """Ask for the transfer; asked for again in the same words, it is the same transfer and nothing happens.

        Raises TransferExists; ValueError if the edge let through what is no transfer at all.
        """
        require_amount(command.amount)
        ends = (command.source_account_id, command.destination_account_id)
        if ends[0] == ends[1] or any(map(is_reserved, ends)):
            raise ValueError(f"no transfer can go from {ends[0]} to {ends[1]}")
        asked = TransferInitiated(**{field.name: getattr(command, field.name) for field in fields(command)})
        if self.initiated is None:
            return (asked,)
        if self.initiated != asked:
            raise TransferExists(transferId=command.transfer_id)
        return ()

    def is_due(self, now: datetime) -> bool:
        """Tell whether the transfer has stopped: money is in flight, and whoever had it in hand has had his time."""
        return self.resume_at is not None and datetime.fromisoformat(self.resume_at) <= now

    def retry(self, command: RetryTransfer, *, now: datetime) -> tuple[TransferRetried, ...]:
        """Have the transfer resumed again. Raises TransferNotFound or TransferNotStuck."""
        if self.state is TransferState.NEW:
            raise TransferNotFound(transferId=command.transfer_id)
        if self.state is not TransferState.STUCK:
            raise TransferNotStuck(transferId=command.transfer_id, state=self.state.value)
        retried = TransferRetried(
            transfer_id=command.transfer_id, reason=command.reason, resume_at=now.isoformat(timespec="microseconds")
        )
        return (retried,)

    def suspense_account_id(self) -> str:
        """Return the account of the bank in which the refund stands. Raises NothingInSuspense."""
        place = self.failure.refunded_to if self.failure else None
        if place is None or not is_reserved(place) or self.released_to is not None:
            raise NothingInSuspense(transferId=self.order.transfer_id)
        return place

    def apply(self, event: TransferEvent) -> "Transfer":
        """Return the transfer after `event`. Raises ImpossibleTransferEvent for what cannot follow."""
        if self.initiated and event.transfer_id != self.initiated.transfer_id:
            raise ImpossibleTransferEvent(event=event, problem=f"the transfer is {self.initiated.transfer_id}")
        match event:
            case TransferInitiated() if self.state is TransferState.NEW:
                return Transfer(initiated=event, state=TransferState.INITIATED)
            case TransferDebited() if self.state is TransferState.INITIATED:
                return replace(self, state=TransferState.PENDING, resume_at=event.resume_at)
            case TransferCompleted() if self._is_under_way:
                return replace(self, state=TransferState.COMPLETED, resume_at=None)
            # Money in flight has to go somewhere, and money that never left cannot come back.
            case TransferFailed() if self._is_under_way and (self.state in IN_FLIGHT) is bool(event.refunded_to):
                return replace(self, state=TransferState.FAILED, resume_at=None, failure=event)
            case TransferResumed() if self.state is TransferState.PENDING:
                return replace(self, attempts=event.attempt, resume_at=event.resume_at)
            case TransferStuck() if self.state is TransferState.PENDING:
                return replace(self, state=TransferState.STUCK, resume_at=None)
            case TransferRetried() if self.state is TransferState.STUCK:
                return replace(self, state=TransferState.PENDING, attempts=0, resume_at=event.resume_at)
            case TransferReleased() if self.failure and self.failure.refunded_to and self.released_to is None:
                return replace(self, released_to=event.account_id)
        raise ImpossibleTransferEvent(event=event, problem=f"it is {self.state}")

    @property
    def _is_under_way(self) -> bool:
        return self.state is TransferState.INITIATED or self.state in IN_FLIGHT
