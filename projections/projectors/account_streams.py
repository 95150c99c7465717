"""How projectors read the streams of accounts."""

from typing import NamedTuple

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
    global _latest
    latest = _latest
    # Whoever asks for every projection in turn asks the same of each.
    if latest.event is event and (latest.before is account or latest.before == account):
        return latest.after, latest.decoded
    decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
    if decoded.account_id != event.stream_id.removeprefix(PREFIX):
        raise ImpossibleEvent(event=decoded, problem=f"it stands in {event.stream_id}")
    after = account.apply(decoded)
    # One assignment: another thread sees this answer or its own, never half of each.
    _latest = _Answer(event, account, after, decoded)
    return after, decoded


class _Answer(NamedTuple):
    """The last answer of `account_after`, and to what."""

    event: RecordedEvent | None
    before: Account
    after: Account
    decoded: AccountEvent


_latest = _Answer(None, Account(), Account(), AccountEvent(account_id=""))
