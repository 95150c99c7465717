"""Rows of the NestJS project's table: what they become here, and which of them cannot."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from accounts.domain.account import Account, AccountStatus
from accounts.event_types import decode
from accounts.nestjs_rows import NestjsRows
from eventstore.archive.lines import Entry
from eventstore.records import RecordedEvent

ACCOUNT = "account-100000"


def row(version: int, event_type: str, payload: Any, **more: Any) -> dict[str, Any]:
    columns = {
        "global_position": version,
        "event_id": f"ab2db266-6610-4a7f-8ad4-{version:012}",
        "stream_id": ACCOUNT,
        "version": version,
        "event_type": event_type,
        "payload": payload,
        "metadata": {},
        "occurred_at": f"2026-03-22T21:26:{version:02}.083+00:00",
    }
    return columns | more


CREATED = row(1, "AccountCreated", {"accountId": "100000", "ownerId": "user-1", "currency": "NGN"})
DEPOSITED = row(2, "MoneyDeposited", {"amount": 15000, "currency": "NGN", "transactionId": "txn-1"})
DEPOSITED_AGAIN = row(3, "MoneyDeposited", {"amount": 25000, "currency": "NGN", "transactionId": "txn-1"})
WITHDRAWN = row(4, "MoneyWithdrawn", {"amount": 5000, "currency": "NGN", "transactionId": "txn-1"})
FROZEN = row(5, "AccountFrozen", {"reason": "compliance review"})
HISTORY = [CREATED, DEPOSITED, DEPOSITED_AGAIN, WITHDRAWN, FROZEN]


def lines(*rows: dict[str, Any] | str) -> list[bytes]:
    return [(line if isinstance(line, str) else json.dumps(line)).encode() + b"\n" for line in rows]


def read(*rows: dict[str, Any] | str) -> list[Entry]:
    return list(NestjsRows().entries(iter(lines(*rows))))


def events(*rows: dict[str, Any] | str) -> list[RecordedEvent]:
    entries = read(*rows)
    assert [entry.problem for entry in entries] == [None] * len(rows)
    return [entry.event for entry in entries if entry.event]


def problem(*rows: dict[str, Any] | str) -> str:
    """Return what is wrong with the last row, all others being right."""
    *good, last = read(*rows)
    assert not any(entry.problem for entry in good)
    assert last.line == len(rows)
    assert last.event is None
    return last.problem or ""


def fold(history: list[RecordedEvent]) -> Account:
    account = Account()
    for event in history:
        account = account.apply(
            decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
        )
    return account


def test_the_projects_own_example_folds():
    history = events(*HISTORY)
    assert fold(history) == Account(
        account_id="100000", owner_id="user-1", currency="NGN", balance=35_000, status=AccountStatus.FROZEN
    )
    deposited = history[1]
    assert deposited == RecordedEvent(
        event_id=UUID("ab2db266-6610-4a7f-8ad4-000000000002"),
        stream_id=ACCOUNT,
        version=2,
        position=0,
        event_type="MoneyDeposited",
        schema_version=1,
        data={"accountId": "100000", "amount": 15000, "currency": "NGN", "transactionId": "txn-1"},
        metadata={},
        occurred_at=datetime(2026, 3, 22, 21, 26, 2, 83_000, tzinfo=UTC),
        recorded_at=datetime(2026, 3, 22, 21, 26, 2, 83_000, tzinfo=UTC),
        hash=b"",
    )


def renamed(original: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in original.items()}


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"event_id": "id", "version": "stream_version", "payload": "data", "event_type": "type"},
        {"global_position": "id", "payload": "event_data", "event_type": "event_name"},
        {"global_position": "sequence", "occurred_at": "created_at"},
        {"global_position": "position", "occurred_at": "occurredAt", "event_id": "eventId", "stream_id": "streamId"},
        {"global_position": "globalSequence", "version": "streamVersion", "event_type": "eventType"},
    ],
)
def test_columns_go_by_several_names(names):
    assert events(*[renamed(original, **names) for original in HISTORY]) == events(*HISTORY)


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": json.dumps(DEPOSITED["payload"])},
        {"metadata": None},
        {"global_position": 17},
        {"occurred_at": "2026-03-22T22:26:02.083+01:00"},
        {"payload": DEPOSITED["payload"] | {"occurredAt": DEPOSITED["occurred_at"]}, "occurred_at": None},
        {
            "payload": DEPOSITED["payload"]
            | {
                "accountId": "100000",
                "eventId": DEPOSITED["event_id"],
                "eventType": "MoneyDeposited",
                "streamId": ACCOUNT,
                "version": 2,
                "occurredAt": "2026-03-22T21:26:02.083Z",
            }
        },
        {"something": None},
    ],
)
def test_what_says_the_same_is_the_same(changes):
    assert events(CREATED, DEPOSITED | changes) == events(CREATED, DEPOSITED)


def test_a_time_of_recording_and_metadata_are_kept():
    more = {"recorded_at": "2026-03-22T21:27:00Z", "metadata": {"correlationId": "c-1"}}
    [event] = events(CREATED | more)
    assert event.recorded_at == datetime(2026, 3, 22, 21, 27, tzinfo=UTC)
    assert event.metadata == {"correlationId": "c-1"}


def test_what_is_not_said_is_left_out():
    [_, deposited, frozen] = events(
        CREATED,
        DEPOSITED | {"payload": {"amount": 1, "currency": "NGN", "transactionId": None}},
        row(3, "AccountFrozen", {}),
    )
    assert deposited.data == {"accountId": "100000", "amount": 1, "currency": "NGN"}
    assert frozen.data == {"accountId": "100000"}


@pytest.mark.parametrize("amount", ["10", "10.0", "1e1", "1.0e1", "9007199254740991"])
def test_an_amount_is_a_whole_number_however_it_is_written(amount):
    line = json.dumps(DEPOSITED).replace("15000", amount)
    assert events(CREATED, line)[1].data["amount"] == int(float(amount))


@pytest.mark.parametrize(
    "amount",
    [
        *("10.5", "0.1", "-1", "0", "-0.0", "1e400", "1e-400", "1e999999999", '"10"', "true", "[10]", "{}"),
        *("9007199254740992", "9007199254740991.5", "1e16", "9" * 400),
    ],
)
def test_an_amount_that_is_not_a_whole_number_of_minor_units(amount):
    line = json.dumps(DEPOSITED).replace("15000", amount)
    assert problem(CREATED, line).endswith("is not a whole number of minor units from 1 to 2^53-1")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "9" * 5_000, "1e99999999999999999999", "ten", "01"])
def test_an_amount_that_is_no_number_of_json(amount):
    assert problem(CREATED, json.dumps(DEPOSITED).replace("15000", amount)).startswith("not JSON: ")


def test_no_amount():
    assert problem(CREATED, DEPOSITED | {"payload": {"currency": "NGN"}}) == "MoneyDeposited: amount is missing"
    without = {"payload": {"amount": None, "currency": "NGN"}}
    assert problem(CREATED, DEPOSITED | without) == "MoneyDeposited: amount is missing"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stream_id": "transfer-1"}, "stream 'transfer-1' is none of an account"),
        ({"stream_id": None}, "stream None is none of an account"),
        ({"stream_id": "account-a b"}, "'a b' cannot be an id here"),
        ({"stream_id": "account-suspense:USD"}, "account suspense:USD would be one that the bank keeps for itself"),
        ({"version": 0}, "version 0 is not a whole number"),
        ({"version": "2"}, "version '2' is not a whole number"),
        ({"version": 3}, "version 3 of account-100000 stands where 2 is due"),
        ({"version": 1}, "version 1 of account-100000 stands where 2 is due"),
        ({"event_id": "txn-1"}, "event id 'txn-1' is no UUID"),
        ({"event_id": None}, "event id None is no UUID"),
        ({"event_id": 7}, "event id 7 is no UUID"),
        ({"event_type": "MoneyBurnt"}, "event type 'MoneyBurnt' is unknown"),
        ({"event_type": ["MoneyDeposited"]}, "event type ['MoneyDeposited'] is unknown"),
        ({"event_type": "AccountCreated", "payload": CREATED["payload"]}, "the account was created before"),
        ({"payload": None}, "the event's data is None, not a JSON object"),
        ({"payload": "["}, "not JSON: "),
        ({"payload": "[]"}, "the event's data is [], not a JSON object"),
        ({"payload": DEPOSITED["payload"] | {"accountId": "x"}}, "'accountId' in its data is 'x', which has no place"),
        ({"payload": DEPOSITED["payload"] | {"fee": 1}}, "'fee' in its data is 1, which has no place here"),
        ({"payload": DEPOSITED["payload"] | {"currency": "USD"}}, "USD on an account in NGN"),
        ({"payload": DEPOSITED["payload"] | {"currency": "ngn"}}, "currency 'ngn' is unknown; CURRENCIES_EXTRA can"),
        ({"payload": DEPOSITED["payload"] | {"transactionId": 7}}, "MoneyDeposited: transactionId is int"),
        ({"payload": DEPOSITED["payload"] | {"transactionId": "\0"}}, "data.transactionId: NUL in text"),
        ({"payload": DEPOSITED["payload"] | {"transactionId": "\ud800"}}, "data.transactionId: lone surrogate"),
        (
            {"payload": DEPOSITED["payload"] | {"occurredAt": "2020-01-01T00:00:00Z"}},
            "its data has another occurredAt than its row",
        ),
        ({"event_type": "MoneyWithdrawn"}, "15000 makes 0 to -15000"),
        ({"metadata": []}, "metadata is [], not a JSON object"),
        ({"metadata": {"rate": 0.5}}, "metadata.rate: Decimal is not exact in JSON"),
        ({"occurred_at": "2026-03-22T21:22:08.718"}, "time '2026-03-22T21:22:08.718' has no zone"),
        ({"occurred_at": "yesterday"}, "'yesterday' is no time"),
        ({"occurred_at": 1774214528}, "1774214528 is no time"),
        ({"occurred_at": None}, "None is no time"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "is no time"),
        ({"global_position": 1}, "place 1 in the log comes after place 1"),
        ({"global_position": "2"}, "'2' is no place in the log"),
        ({"position": 2}, "columns globalPosition and position are one too many"),
        ({"fee": 1}, "column 'fee' is unknown"),
    ],
)
def test_a_row_that_cannot_be_an_event_here(changes, said):
    assert said in problem(CREATED, DEPOSITED | changes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not JSON"),
        ("[]", "the line is [], not a JSON object"),
        ("{" * 100_000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        (json.dumps(DEPOSITED).replace("{", '{"version": 2, ', 1), "not JSON: a name comes twice"),
        (json.dumps(DEPOSITED)[:-9], "not JSON"),
        (json.dumps(DEPOSITED).replace('"', '\\"'), "not JSON"),
    ],
)
def test_a_line_that_is_no_row(line, said):
    assert problem(CREATED, line).startswith(said)


def test_a_line_that_is_not_utf_8():
    [entry] = NestjsRows().entries(iter([b'{"version": "\xff"}\n']))
    assert entry.problem == "not UTF-8"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"currency": "NGN"}, "AccountCreated: ownerId is missing"),
        ({"ownerId": "Ada Obi", "currency": "NGN"}, "'Ada Obi' cannot be an id here"),
        ({"ownerId": "user-1", "currency": "XXX"}, "currency 'XXX' is unknown"),
    ],
)
def test_an_account_that_cannot_be_here(payload, said):
    assert said in problem(CREATED | {"payload": payload})


def test_an_account_that_begins_in_the_middle():
    assert problem(DEPOSITED) == "version 2 of account-100000 stands where 1 is due"
    assert "the account was not created" in problem(DEPOSITED | {"version": 1})


def test_one_trouble_with_an_account_is_told_once_and_other_accounts_are_looked_at():
    broken = DEPOSITED | {"payload": {"amount": 0.5, "currency": "NGN"}}
    other = {"stream_id": "account-2", "payload": CREATED["payload"] | {"accountId": "2"}}
    last = row(2, "MoneyDeposited", {"amount": 1.5, "currency": "NGN"}, stream_id="account-2", global_position=6)
    told = read(CREATED, broken, DEPOSITED_AGAIN, CREATED | other | {"global_position": 5}, last)
    assert [entry.line for entry in told if entry.problem] == [2, 5]
    assert told[2].event is None


def test_events_dated_before_their_predecessors_keep_their_order_and_their_own_time():
    rows = NestjsRows()
    early = DEPOSITED | {"occurred_at": "2026-03-22T21:26:00.999+00:00"}
    created, deposited, again = [
        entry.event for entry in rows.entries(iter(lines(CREATED, early, DEPOSITED_AGAIN))) if entry.event
    ]
    assert rows.redated == 1
    assert deposited.occurred_at == created.occurred_at
    assert deposited.metadata == {"nestjsOccurredAt": "2026-03-22T21:26:00.999000+00:00"}
    assert again.occurred_at == datetime(2026, 3, 22, 21, 26, 3, 83_000, tzinfo=UTC)


def test_a_history_that_goes_on_while_the_account_is_frozen():
    history = events(*HISTORY, row(6, "MoneyDeposited", {"amount": 1, "currency": "NGN"}), row(7, "AccountFrozen", {}))
    assert fold(history).balance == 35_001
