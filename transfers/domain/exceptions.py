"""Why the bank refuses something about a transfer, and what cannot be in a transfer's history."""

from typing import Any, ClassVar

from accounts.domain.exceptions import AccountNotFound, CorruptHistory
from transfers.domain.events import TransferEvent


class TransferError(Exception):
    """Base of every refusal of the transfers app; the class names the fact, `code` is stable.

    `fields` are the facts behind the refusal, by their API names (camelCase): plain JSON.
    """

    code: ClassVar[str] = "transfer_error"

    def __init__(self, **fields: Any) -> None:
        super().__init__(self.code, fields)
        self.fields = fields


class TransferExists(TransferError):
    """Another transfer was initiated under this id. Fields: transferId."""

    code = "transfer_exists"


class DestinationNotFound(AccountNotFound):
    """There is no account to send the money to. Fields: accountId."""

    code = "destination_not_found"


class TransferNotFound(TransferError):
    """There is no transfer with this id. Fields: transferId."""

    code = "transfer_not_found"


class TransferNotStuck(TransferError):
    """Only a stuck transfer can be retried. Fields: transferId, state."""

    code = "transfer_not_stuck"


class NothingInSuspense(TransferError):
    """No money of this transfer stands in suspense, or no more. Fields: transferId."""

    code = "nothing_in_suspense"


class ImpossibleTransferEvent(CorruptHistory):
    """An event cannot follow what its transfer has come to."""

    def __init__(self, *, event: TransferEvent, problem: str) -> None:
        super().__init__(f"{type(event).__name__} of {event.transfer_id}: {problem}")
        self.event = event
        self.problem = problem
