"""Rows of the `events` table of the NestJS project, one JSON object a line, and the events that they are here.

Its events were stored before movements named a `contra`: they keep the schema version of that time, and the upcasters
of `accounts.event_types` do the rest.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from accounts.domain.account import Account
from accounts.domain.exceptions import CorruptHistory
from accounts.domain.money import MAX_AMOUNT, is_known_currency
from accounts.domain.own_accounts import is_reserved
from accounts.event_types import decode
from accounts.repository import account_stream_id
from accounts.serializers import IDENTIFIER
from eventstore.archive.lines import Document, Entry, RefusedLine
from eventstore.chain import MAX_WHOLE_NUMBER, check_json
from eventstore.exceptions import InvalidEventData
from eventstore.records import RecordedEvent

SCHEMA_VERSION = 1

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "event_id": ("eventId", "id"),
    "stream_id": ("streamId",),
    "version": ("version", "streamVersion"),
    "event_type": ("eventType", "type", "eventName"),
    "data": ("payload", "data", "eventData"),
    "metadata": ("metadata",),
    "occurred_at": ("occurredAt",),
    "recorded_at": ("recordedAt", "createdAt"),
    "order": ("globalPosition", "globalSequence", "position", "sequence", "id"),
}
"""What a row tells, and the names that its column may have, in camelCase or in snake_case.

`id` is the event's if it is text, its place in the log if it is a number.
"""

EVENT_TYPES: Mapping[str, frozenset[str]] = {
    "AccountCreated": frozenset({"ownerId", "currency"}),
    "MoneyDeposited": frozenset({"amount", "currency", "transactionId"}),
    "MoneyWithdrawn": frozenset({"amount", "currency", "transactionId"}),
    "AccountFrozen": frozenset({"reason"}),
}
"""Its types of events, and what is in the data of each."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An account so far. Some 600 bytes for each are all that a reading keeps in memory."""

    account: Account
    version: int
    occurred_at: datetime


_UNKNOWN = _Known(Account(), 0, datetime.min.replace(tzinfo=UTC))


class NestjsRows:
    """One reading of a complete table, which folds each account to see that its history is possible here.

    `redated` counts the events that were dated before their predecessors, as clocks that disagree make them. Here that
    cannot be: they get the predecessor's time, and keep their own in their metadata, as `nestjsOccurredAt`.
    """

    def __init__(self) -> None:
        self.redated = 0
        self._accounts: dict[str, _Known] = {}
        self._broken: set[str] = set()
        self._last_order: int | None = None

    def entries(self, lines: Iterator[bytes]) -> Iterator[Entry]:
        """Yield an event of no position and no hash for each line, or what is wrong with it."""
        number = 1
        try:
            for number, line in enumerate(lines, start=1):
                try:
                    yield Entry(line=number, event=self._event(line))
                except RefusedLine as refused:
                    yield Entry(line=number, problem=str(refused))
                number += 1
        except RefusedLine as refused:
            yield Entry(line=number, problem=str(refused))

    def _event(self, line: bytes) -> RecordedEvent | None:
        row = _row(line)
        self._check_order(row["order"])
        stream_id = _account_stream_id(row["stream_id"])
        try:
            event = _recorded_event(stream_id, row)
            # One trouble with an account is told once.
            return None if stream_id in self._broken else self._in_turn(event)
        except RefusedLine:
            self._broken.add(stream_id)
            raise

    def _check_order(self, order: Any) -> None:
        if order is None:
            return
        if type(order) is not int:
            raise RefusedLine(f"{_shown(order)} is no place in the log")
        last_order, self._last_order = self._last_order, order
        if last_order is not None and order <= last_order:
            raise RefusedLine(f"place {order} in the log comes after place {last_order}")

    def _in_turn(self, event: RecordedEvent) -> RecordedEvent:
        known = self._accounts.get(event.stream_id, _UNKNOWN)
        if event.version != known.version + 1:
            raise RefusedLine(f"version {event.version} of {event.stream_id} stands where {known.version + 1} is due")
        try:
            decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
            account = known.account.apply(decoded)
        except CorruptHistory as error:
            raise RefusedLine(str(error)) from None
        if event.occurred_at < known.occurred_at:
            own_time = event.occurred_at.isoformat()
            event = event._replace(
                occurred_at=known.occurred_at, metadata={**event.metadata, "nestjsOccurredAt": own_time}
            )
            self.redated += 1
        self._accounts[event.stream_id] = _Known(account, event.version, event.occurred_at)
        return event


def _row(line: bytes) -> dict[str, Any]:
    """Return what a line tells, by our names; None for what it does not tell. Raises RefusedLine."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    columns = {_camel_case(name): value for name, value in _document(line).items()}
    for meaning, names in COLUMNS.items():
        found = {name for name in names if columns.get(name) is not None and _can_be(meaning, name, columns[name])}
        if len(found) > 1:
            raise RefusedLine(f"columns {' and '.join(sorted(found))} are one too many")
        for name in found:
            row[meaning] = columns.pop(name)
    unknown = [name for name, value in columns.items() if value is not None]
    if unknown:
        raise RefusedLine(f"column {_shown(unknown[0])} is unknown")
    return row


def _can_be(meaning: str, name: str, value: Any) -> bool:
    return name != "id" or (meaning == "order") is (type(value) is int)


def _recorded_event(stream_id: str, row: Mapping[str, Any]) -> RecordedEvent:
    event_type = row["event_type"]
    if type(event_type) is not str or event_type not in EVENT_TYPES:
        raise RefusedLine(f"event type {_shown(event_type)} is unknown")
    event_id, version = _uuid(row["event_id"]), _version(row["version"])
    data = row["data"]
    data = dict(_object("the event's data", _parsed(data) if type(data) is str else data))
    envelope = {
        "eventId": row["event_id"],
        "eventType": event_type,
        "type": event_type,
        "streamId": stream_id,
        "version": version,
        "accountId": stream_id.removeprefix(account_stream_id("")),
    }
    own_time = data.pop("occurredAt", None)
    recorded_at = row["recorded_at"]
    occurred_at = _time(next((time for time in (row["occurred_at"], own_time, recorded_at) if time is not None), None))
    if own_time is not None and _time(own_time) != occurred_at:
        raise RefusedLine("its data has another occurredAt than its row")
    metadata = _object("metadata", {} if row["metadata"] is None else row["metadata"])
    made = RecordedEvent(
        event_id=event_id,
        stream_id=stream_id,
        version=version,
        position=0,
        event_type=event_type,
        schema_version=SCHEMA_VERSION,
        data=_data(event_type, data, envelope),
        metadata=metadata,
        occurred_at=occurred_at,
        recorded_at=_time(recorded_at) if recorded_at is not None else occurred_at,
        hash=b"",
    )
    _check_exact(made)
    return made


def _data(event_type: str, data: Document, envelope: Mapping[str, Any]) -> Document:
    """Return the data as it was stored here before there was a `contra`."""
    kept: Document = {"accountId": envelope["accountId"]}
    for name, value in data.items():
        if value is None:
            continue
        if name in EVENT_TYPES[event_type]:
            kept[name] = _READERS.get(name, _as_it_is)(value)
        elif name not in envelope or value != envelope[name]:
            raise RefusedLine(f"{name[:100]!r} in its data is {_shown(value)}, which has no place here")
    return kept


def _check_exact(event: RecordedEvent) -> None:
    try:
        check_json(event.data, path="data")
        check_json(event.metadata, path="metadata")
    except InvalidEventData as error:
        raise RefusedLine(str(error)) from None


def _account_stream_id(stream_id: Any) -> str:
    prefix = account_stream_id("")
    if type(stream_id) is not str or not stream_id.startswith(prefix):
        raise RefusedLine(f"stream {_shown(stream_id)} is none of an account")
    account_id = _identifier(stream_id.removeprefix(prefix))
    if is_reserved(account_id):
        raise RefusedLine(f"account {account_id} would be one that the bank keeps for itself")
    return stream_id


def _amount(value: Any) -> int:
    # The range first: 1e999999999 is whole, and writing it out would take all memory.
    if type(value) in (int, Decimal) and 1 <= value <= MAX_AMOUNT and value == int(value):
        return int(value)
    raise RefusedLine(f"amount {_shown(value)} is not a whole number of minor units from 1 to 2^53-1")


def _currency(value: Any) -> str:
    if type(value) is str and is_known_currency(value):
        return value
    raise RefusedLine(f"currency {_shown(value)} is unknown; CURRENCIES_EXTRA can make it known")


def _identifier(value: Any) -> str:
    if type(value) is str and IDENTIFIER.fullmatch(value):
        return value
    raise RefusedLine(f"{_shown(value)} cannot be an id here: 1 to 64 characters of A-Z, a-z, 0-9 and . _ : -")


def _as_it_is(value: Any) -> Any:
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "amount": _amount,
    "currency": _currency,
    "ownerId": _identifier,
}


def _uuid(value: Any) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise RefusedLine(f"event id {_shown(value)} is no UUID") from None


def _version(value: Any) -> int:
    if type(value) is int and 1 <= value <= MAX_WHOLE_NUMBER:
        return value
    raise RefusedLine(f"version {_shown(value)} is not a whole number from 1 to 2^53-1")


def _time(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise RefusedLine(f"{_shown(value)} is no time") from None
    # The project's own columns may be without: what they hold then depends on where its server stood.
    raise RefusedLine(f"time {_shown(value)} has no zone")


def _object(name: str, value: Any) -> Document:
    if type(value) is not dict:
        raise RefusedLine(f"{name} is {_shown(value)}, not a JSON object")
    return value


def _document(line: bytes) -> Document:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise RefusedLine("not UTF-8") from None
    return _object("the line", _parsed(text))


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise RefusedLine(f"not JSON: {error}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name comes twice")
    return document


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_without_repetition)


@lru_cache(maxsize=1_000)
def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


def _shown(value: Any) -> str:
    return str(value)[:100] if isinstance(value, Decimal) else repr(value)[:100]
