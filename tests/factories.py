"""Makes the records that tests need, valid unless told otherwise, each with an identity of its own."""

from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from factory.base import Factory
from factory.declarations import LazyAttribute, LazyFunction, Sequence

from accounts.domain.commands import (
    AccountCommand,
    CloseAccount,
    CreateAccount,
    DepositMoney,
    FreezeAccount,
    Movement,
    UnfreezeAccount,
    WithdrawMoney,
)
from eventstore.chain import chain_hashes
from eventstore.records import CommandKey, Commit, NewCommand, NewEvent, Snapshot, StreamAppend
from transfers.domain.commands import InitiateTransfer

NOON = datetime(2026, 3, 22, 12, tzinfo=UTC)
"""When test events occur: events of one stream may share their moment."""


class NewEventFactory(Factory[NewEvent]):
    """A fact nobody reads anything into."""

    class Meta:
        model = NewEvent

    event_id = LazyFunction(uuid4)
    event_type = "ThingHappened"
    schema_version = 1
    data = Sequence(lambda number: {"number": number})
    metadata = LazyFunction(lambda: {"actor": "tester"})
    occurred_at = NOON


class StreamAppendFactory(Factory[StreamAppend]):
    """Events for a stream, correctly chained: a new stream, or with `after` the one that an earlier append left."""

    class Meta:
        model = StreamAppend

    class Params:
        after: StreamAppend | None = None
        number_of_events = 1

    stream_id = LazyAttribute(lambda made: made.after.stream_id if made.after else f"thing-{uuid4()}")
    expected_version = LazyAttribute(
        lambda made: made.after.expected_version + len(made.after.events) if made.after else 0
    )
    events = LazyAttribute(lambda made: tuple(NewEventFactory.build_batch(made.number_of_events)))
    hashes = LazyAttribute(
        lambda made: chain_hashes(
            stream_id=made.stream_id,
            version=made.expected_version,
            previous_hash=made.after.hashes[-1] if made.after else b"",
            events=made.events,
        )
    )


class NewCommandFactory(Factory[NewCommand]):
    """The verdict on a command that went through."""

    class Meta:
        model = NewCommand

    key = LazyFunction(lambda: CommandKey(scope="test-client", key=str(uuid4())))
    fingerprint = Sequence(lambda number: f"fingerprint-{number}")
    result = Sequence(lambda number: {"status": "accepted", "number": number})
    refused = False


class SnapshotFactory(Factory[Snapshot]):
    """The state of a stream after the append `of`."""

    class Meta:
        model = Snapshot

    class Params:
        of: StreamAppend | None = None

    stream_id = LazyAttribute(lambda made: made.of.stream_id)
    version = LazyAttribute(lambda made: made.of.expected_version + len(made.of.events))
    schema_version = 1
    state = Sequence(lambda number: {"balance": number})
    hash = LazyAttribute(lambda made: made.of.hashes[-1])
    occurred_at = LazyAttribute(lambda made: made.of.events[-1].occurred_at)


class CommitFactory(Factory[Commit]):
    """One event on a stream of its own."""

    class Meta:
        model = Commit

    streams = LazyFunction(lambda: (StreamAppendFactory.build(),))
    command = None
    snapshots = ()


SomeCommand = TypeVar("SomeCommand", bound=AccountCommand)
SomeMovement = TypeVar("SomeMovement", bound=Movement)


class AccountCommandFactory(Factory[SomeCommand]):
    """What a client asks of an account; with no `account_id`, of one that nobody else knows."""

    class Meta:
        abstract = True

    account_id = LazyFunction(lambda: f"acc-{uuid4()}")


class CreateAccountFactory(AccountCommandFactory[CreateAccount]):
    """A dollar account for an owner."""

    class Meta:
        model = CreateAccount

    owner_id = Sequence(lambda number: f"user-{number}")
    currency = "USD"


class MovementFactory(AccountCommandFactory[SomeMovement]):
    """Ten dollars, with a reference of the client's."""

    class Meta:
        abstract = True

    amount = 1000
    currency = "USD"
    transaction_id = Sequence(lambda number: f"txn-{number}")


class DepositMoneyFactory(MovementFactory[DepositMoney]):
    """Money in."""

    class Meta:
        model = DepositMoney


class WithdrawMoneyFactory(MovementFactory[WithdrawMoney]):
    """Money out."""

    class Meta:
        model = WithdrawMoney


class FreezeAccountFactory(AccountCommandFactory[FreezeAccount]):
    """A stop, with its reason."""

    class Meta:
        model = FreezeAccount

    reason = "compliance review"


class UnfreezeAccountFactory(AccountCommandFactory[UnfreezeAccount]):
    """The end of a stop, with its reason."""

    class Meta:
        model = UnfreezeAccount

    reason = "review done"


class CloseAccountFactory(AccountCommandFactory[CloseAccount]):
    """The end, with its reason."""

    class Meta:
        model = CloseAccount

    reason = "owner's wish"


class InitiateTransferFactory(Factory[InitiateTransfer]):
    """Ten dollars from one account to another."""

    class Meta:
        model = InitiateTransfer

    transfer_id = LazyFunction(lambda: f"trf-{uuid4()}")
    source_account_id = LazyFunction(lambda: f"acc-{uuid4()}")
    destination_account_id = LazyFunction(lambda: f"acc-{uuid4()}")
    amount = 1000
    currency = "USD"
    transaction_id = Sequence(lambda number: f"txn-{number}")
