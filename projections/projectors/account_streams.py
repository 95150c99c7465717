"""How projectors read the streams of accounts."""

from accounts.domain.account import Account
from accounts.domain.events import AccountEvent
from accounts.domain.exceptions import ImpossibleEvent
from accounts.event_types import decode
from accounts.repository import account_stream_id
from eventstore.records import RecordedEvent

PREFIX = account_stream_id("")
"""What the ids of the streams of accounts begin with."""


def account_id_of(stream_id: str) -> str:
    """Return the id of the account whose events the stream holds."""
    return stream_id.removeprefix(PREFIX)


def account_after(account: Account, event: RecordedEvent) -> tuple[Account, AccountEvent]:
    """Return the account after a recorded event, and the event as it is now understood.

    The account's own rules apply, so a read model takes no event that the account would not. Raises CorruptHistory.
    """
    decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
    if decoded.account_id != account_id_of(event.stream_id):
        raise ImpossibleEvent(event=decoded, problem=f"it stands in {event.stream_id}")
    return account.apply(decoded), decoded
