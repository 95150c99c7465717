"""What no stream can tell by itself: holes in the log, what knows of events after its end, wrong transfers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection

from accounts.domain.commands import TRANSIT
from accounts.domain.events import MoneyMoved
from accounts.event_types import decode as decode_account_event
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.engine import DATABASE_IS_AWAY
from projections.statements import statement
from projections.verification.books import BUCKETS, Leg, bucket_of, leg_of, legs_that_make
from projections.verification.differences import Difference, difference
from projections.verification.kinds import TRANSFERS
from transfers.domain.transfer import Transfer
from transfers.repository import PREFIX, transfer_stream_id

PAGE_POSITIONS = 50_000
PAGE_EVENTS = 1_000
TRANSFERS_A_PASS = 20_000


@dataclass(slots=True, kw_only=True)
class Holes:
    """A page of positions: up to which it goes, and the holes in it."""

    position: int
    differences: list[Difference] = field(default_factory=list)


def holes(*, after_position: int, head: int) -> Holes:
    """Look for holes among the next positions of the log, up to its `head`."""
    parameters = {"after_position": after_position, "head": head, "limit": PAGE_POSITIONS}
    [(count, last, before, after)] = _rows("log_gaps", parameters)
    bounds = list(zip(before or (), after or (), strict=True))
    if count < PAGE_POSITIONS and (last or after_position) < head:
        # The event at the head of a moment ago is gone.
        bounds.append((last or after_position, head + 1))
        last = head
    return Holes(position=last or after_position, differences=[_hole(*one) for one in bounds])


def _hole(before: int, after: int) -> Difference:
    missing = f"{before + 1}" if after == before + 2 else f"{before + 1} to {after - 1}"
    return difference(
        check="positions", place="log", key=missing, column="events", expected=after - before - 1, actual="none"
    )


def beyond_the_head(*, limit: int) -> list[Difference]:
    """Return what knows of positions after the last event of the log: commands, checkpoints, an earlier look."""
    return [
        difference(check="head", place=place, key=key, column="position", expected=f"at most {head}", actual=position)
        for place, key, position, head in _rows("beyond_the_head", {"limit": limit})
    ]


def wrong_transfers(*, buckets: list[int], head: int, limit: int) -> Iterator[Difference]:
    """Yield the transfers of some buckets of Books whose movements, up to `head`, are not those that make them.

    It reads the whole log once for each TRANSFERS_A_PASS transfers of these buckets, in the order of their ids, and
    holds no more than twice as many in memory.
    """
    found, named, after = 0, set(), None
    while buckets and (some := _legs_by_transfer(set(buckets), after, head)):
        for transfer_id, legs in some.items():
            expected = Counter(legs_that_make(_transfer_at(transfer_id, head)) if transfer_id else ())
            if expected != legs:
                named.add(bucket_of(transfer_id))
                found += 1
                yield _wrong_transfer(transfer_id, expected, legs)
                if found >= limit:
                    return
        if len(some) < TRANSFERS_A_PASS:
            break
        after = max(some)
    # Something of these could be counted in one way and not in the other: a stream of theirs cannot be folded.
    yield from wrong_buckets(buckets=sorted(set(buckets) - named))


def wrong_buckets(*, buckets: list[int]) -> Iterator[Difference]:
    """Yield the buckets of Books themselves, whose transfers nobody has named."""
    for bucket in buckets:
        yield difference(
            check="transfers",
            place="log",
            key=f"bucket {bucket} of {BUCKETS}",
            column="movements",
            expected="those that make its transfers",
            actual="others; manage.py verify looks for them",
        )


def fold_transfer(*, stream_id: str, until_position: int | None = None) -> Transfer:
    """Return a transfer from its events alone, those up to a position, as far as they can be read and folded."""
    transfer = Transfer()
    try:
        for event in _events(stream_id):
            if until_position is not None and event.position > until_position:
                break
            transfer, _ = TRANSFERS.after(transfer, event)
    except DATABASE_IS_AWAY:
        raise
    except Exception:
        # Whatever it is, the fold of its stream tells.
        return transfer
    return transfer


def _events(stream_id: str) -> Iterator[RecordedEvent]:
    version, store = 0, event_store()
    while events := store.read_stream(stream_id, after_version=version, limit=PAGE_EVENTS):
        yield from events
        version = events[-1].version


def _transfer_at(transfer_id: str, head: int) -> Transfer:
    return fold_transfer(stream_id=transfer_stream_id(transfer_id), until_position=head)


def _legs_by_transfer(buckets: set[int], after: str | None, head: int) -> dict[str, Counter[Leg]]:
    """Return the movements of the next transfers of some buckets by their ids, at most TRANSFERS_A_PASS of them."""
    by_transfer: dict[str, Counter[Leg]] = {}
    last: str | None = None
    for after_position in range(0, head, PAGE_POSITIONS):
        until_position = min(after_position + PAGE_POSITIONS, head)
        parameters = {"after_position": after_position, "until_position": until_position, "transit": TRANSIT}
        for _, stream_id, event_type, schema_version, data in _rows("movements_of_transfers", parameters):
            if event_type == "TransferInitiated":
                transfer_id, leg = stream_id.removeprefix(PREFIX), None
            else:
                transfer_id, leg = _leg_in(event_type, schema_version, data)
            if transfer_id is None or (after is not None and transfer_id <= after):
                continue
            if (last is None or transfer_id <= last) and bucket_of(transfer_id) in buckets:
                legs = by_transfer.setdefault(transfer_id, Counter())
                if leg:
                    legs[leg] += 1
                if len(by_transfer) >= 2 * TRANSFERS_A_PASS:
                    by_transfer, last = _first_of(by_transfer)
    return _first_of(by_transfer)[0]


def _first_of(by_transfer: dict[str, Counter[Leg]]) -> tuple[dict[str, Counter[Leg]], str | None]:
    """Return the TRANSFERS_A_PASS transfers with the first ids, and the last of those; None if there are no more."""
    if len(by_transfer) <= TRANSFERS_A_PASS:
        return by_transfer, None
    first = sorted(by_transfer)[:TRANSFERS_A_PASS]
    return {transfer_id: by_transfer[transfer_id] for transfer_id in first}, first[-1]


def _leg_in(event_type: str, schema_version: int, data: str) -> tuple[str | None, Leg | None]:
    try:
        decoded = decode_account_event(event_type=event_type, schema_version=schema_version, data=orjson.loads(data))
    except Exception:
        # Whatever it is, the fold of its stream tells.
        return None, None
    return (decoded.transfer_id or "", leg_of(decoded)) if isinstance(decoded, MoneyMoved) else (None, None)


def _wrong_transfer(transfer_id: str, expected: Counter[Leg], actual: Counter[Leg]) -> Difference:
    return difference(
        check="transfers",
        place="transfer",
        key=transfer_id,
        column="movements",
        expected=_told(expected - actual) or "no more",
        actual=_told(actual - expected) or "missing",
    )


def _told(legs: Counter[Leg]) -> str:
    return ", ".join(f"{count} x {leg.account_id} {leg.amount:+d} {leg.currency}" for leg, count in legs.items())


def _rows(stem: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement(stem), parameters)
        return list(cursor.fetchall())
