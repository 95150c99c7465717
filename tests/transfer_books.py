"""What tests of transfers do with accounts and transfers, and the equation that all of it must keep."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from accounts.domain.commands import EXTERNAL, TRANSIT
from accounts.domain.events import MoneyDeposited, MoneyMoved
from accounts.event_types import decode as decode_account_event
from accounts.repository import account_stream_id
from eventstore.records import CommandContext, Outcome, RecordedEvent
from tests.factories import InitiateTransferFactory
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState
from transfers.handlers import initiate_transfer

OPEN = CommandContext()


def transfer(source: str, destination: str, amount: int, context: CommandContext = OPEN, **more: str) -> Outcome:
    """Ask for a transfer."""
    command = InitiateTransferFactory.build(
        source_account_id=source, destination_account_id=destination, amount=amount, **more
    )
    return initiate_transfer(command=command, context=context)


def transfer_id_of(outcome: Outcome) -> str:
    """Return the id of the transfer that an outcome tells of."""
    return outcome.result["fields"]["transferId"] if outcome.refused else outcome.result["transferId"]


@dataclass
class Books:
    """Every movement of some events of accounts, by what is on the other side."""

    external: int = 0
    in_flight: int = 0
    balances: int = 0

    def balance(self) -> bool:
        """Tell whether money came from somewhere and is somewhere, and none of it is below nothing."""
        return self.external == self.balances + self.in_flight and self.in_flight >= 0


@dataclass(frozen=True)
class Leg:
    """A movement of a transfer: which account, how much (negative: out of it), and whether it came back."""

    account_id: str
    amount: int
    refund: bool


def books_of(events: Iterable[RecordedEvent]) -> Books:
    """Add up the movements among `events`."""
    books = Books()
    for movement in movements_of(events):
        amount = _signed(movement)
        books.balances += amount
        if movement.contra == EXTERNAL:
            books.external += amount
        else:
            assert movement.contra == TRANSIT
            books.in_flight -= amount
    return books


def legs_of(events: Iterable[RecordedEvent]) -> dict[str, list[Leg]]:
    """Return the movements of each transfer among `events`, in order."""
    legs: dict[str, list[Leg]] = {}
    for movement in movements_of(events):
        if movement.transfer_id:
            leg = Leg(movement.account_id, _signed(movement), getattr(movement, "refund", False))
            legs.setdefault(movement.transfer_id, []).append(leg)
    return legs


def legs_that_make(transfer: Transfer) -> list[Leg]:
    """Return the movements that there must be, no more and no less, for a transfer to be what it is."""
    order, failure = transfer.order, transfer.failure
    debit = Leg(order.source_account_id, -order.amount, False)
    if transfer.state is TransferState.COMPLETED:
        return [debit, Leg(order.destination_account_id, order.amount, False)]
    if transfer.state in IN_FLIGHT:
        return [debit]
    if failure is None or failure.refunded_to is None:
        return []
    back = Leg(failure.refunded_to, order.amount, failure.refunded_to == order.source_account_id)
    if transfer.released_to is None:
        return [debit, back]
    out = Leg(failure.refunded_to, -order.amount, False)
    return [debit, back, out, Leg(transfer.released_to, order.amount, False)]


def movements_of(events: Iterable[RecordedEvent]) -> list[MoneyMoved]:
    """Return the movements among `events`."""
    decoded = [
        decode_account_event(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
        for event in events
        if event.stream_id.startswith(account_stream_id(""))
    ]
    return [event for event in decoded if isinstance(event, MoneyMoved)]


def fresh_id(kind: str) -> str:
    """Return an id that no other test uses."""
    return f"{kind}-{uuid4()}"


def _signed(movement: MoneyMoved) -> int:
    return movement.amount if isinstance(movement, MoneyDeposited) else -movement.amount
