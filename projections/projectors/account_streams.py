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
    known = _answers.get(event.position)
    if known is not None and known.event is event:
        # Whoever asks for every projection asks about the same event each time, and mostly about the same account.
        if known.before is account or known.before == account:
            return known.after, known.decoded
        return account.apply(known.decoded), known.decoded
    decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
    if decoded.account_id != event.stream_id.removeprefix(PREFIX):
        raise ImpossibleEvent(event=decoded, problem=f"it stands in {event.stream_id}")
    after = account.apply(decoded)
    if len(_answers) >= MOST_ANSWERS:
        _answers.clear()
    _answers[event.position] = _Answer(event, account, after, decoded)
    return after, decoded


class _Answer(NamedTuple):
    """An answer of `account_after`, and to what."""

    event: RecordedEvent
    before: Account
    after: Account
    decoded: AccountEvent


MOST_ANSWERS = 500
"""How many answers are kept: those about a turn's events, which are all read before they are asked about."""

_answers: dict[int, _Answer] = {}
