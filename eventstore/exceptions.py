"""What can go wrong between a caller and the event store."""

from eventstore.records import Outcome


class EventStoreError(Exception):
    """Base of every error of the event store; `code` is stable and machine-readable."""

    code = "event_store_error"


class StoreUnavailable(EventStoreError):
    """The store cannot be reached, or did not answer in time; nothing was written."""

    code = "store_unavailable"


class OutcomeUnknown(StoreUnavailable):
    """The connection broke during an append: its events may or may not be in the log."""


class Overloaded(EventStoreError):
    """More commands wait than may; nothing was written."""

    code = "overloaded"


class Contention(EventStoreError):
    """Other writers were faster at every one of the bounded attempts; nothing was written."""

    code = "contention"


class VersionConflict(EventStoreError):
    """A stream is not at the version its client asked for; `index` says in which of several commands that are one."""

    code = "version_conflict"

    def __init__(self, *, stream_id: str, expected_version: int, actual_version: int, index: int | None = None) -> None:
        super().__init__(stream_id, expected_version, actual_version)
        self.index = index
        self.stream_id = stream_id
        self.expected_version = expected_version
        self.actual_version = actual_version


class IdempotencyKeyReused(EventStoreError):
    """The command key was used before, for another command."""

    code = "idempotency_key_reused"

    def __init__(self, *, key: str) -> None:
        super().__init__(key)
        self.key = key


class InvalidAppend(EventStoreError):
    """The caller broke the contract of `append`: a fault in the program, not in its input."""

    code = "invalid_append"


class InvalidEventData(InvalidAppend):
    """Event data or metadata holds what the log cannot keep unchanged: a float, a NUL, a lone surrogate, …"""

    code = "invalid_event_data"

    def __init__(self, *, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class AppendInsideTransaction(InvalidAppend):
    """`append` was called inside an open transaction, which would hold the log's lock until that commits."""

    code = "append_inside_transaction"


class CommandRefused(EventStoreError):
    """A command met a business rule and was refused; `outcome` is the verdict, perhaps a replayed one.

    `outcome.result` is `{"code": <stable code>, "fields": {…}}`.
    """

    code = "command_refused"

    def __init__(self, *, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome
