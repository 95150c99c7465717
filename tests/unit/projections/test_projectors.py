"""How account events fold into the states of the two projectors, with no database."""

from datetime import timedelta
from functools import reduce
from uuid import UUID

import pytest

from accounts.domain.exceptions import ImpossibleEvent
from eventstore.memory import MemoryEventStore
from eventstore.records import Commit, RecordedEvent
from projections.models import AccountStatement
from projections.projector import entity_id, selects
from projections.projectors import PROJECTORS
from projections.projectors.account_statement import AccountStatementProjector
from projections.projectors.account_summary import AccountSummaryProjector
from projections.serializers import entry_document
from tests.factories import NOON, NewEventFactory, StreamAppendFactory

CREATED = ("AccountCreated", {"ownerId": "user-1", "currency": "USD"})
DEPOSITED = ("MoneyDeposited", {"amount": 1000, "currency": "USD", "contra": "external", "transactionId": "txn-1"})
WITHDRAWN = ("MoneyWithdrawn", {"amount": 200, "currency": "USD", "contra": "external"})
FROZEN = ("AccountFrozen", {"reason": "compliance review"})


def recorded(*facts, stream_id: str = "account-acc-1") -> list[RecordedEvent]:
    """Return the events of one account as a log has them, an hour apart."""
    events = tuple(
        NewEventFactory.build(
            event_type=event_type,
            schema_version=2 if event_type.startswith("Money") else 1,
            data={"accountId": "acc-1", **data},
            occurred_at=NOON + timedelta(hours=hour),
        )
        for hour, (event_type, data) in enumerate(facts)
    )
    store = MemoryEventStore()
    store.append([Commit(streams=(StreamAppendFactory.build(stream_id=stream_id, events=events),))])
    return store.read_stream(stream_id, limit=100)


def folded(projector, events):
    initial = projector.initial(stream_id=events[0].stream_id)
    return reduce(lambda state, event: projector.apply(state=state, event=event), events, initial)


def test_a_summary_keeps_the_first_and_the_last_time():
    summary = folded(AccountSummaryProjector(), recorded(CREATED, DEPOSITED, WITHDRAWN, FROZEN))
    assert (summary.account.balance, summary.account.status, summary.version) == (800, "FROZEN", 4)
    assert (summary.created_at, summary.updated_at) == (NOON, NOON + timedelta(hours=3))
    assert summary.last_position == 4


def test_a_statement_line_has_the_balance_that_its_event_left():
    events = recorded(CREATED, DEPOSITED, WITHDRAWN)
    projector = AccountStatementProjector()
    [row] = projector.rows(history=[folded(projector, events)])
    line = AccountStatement(**dict(zip(projector.columns, row, strict=True)))
    assert (line.position, line.stream_version, line.event_id) == (3, 3, events[2].event_id)
    assert (line.amount, line.balance, line.currency, line.contra) == (200, 800, "USD", "external")


@pytest.mark.parametrize("projector", [AccountSummaryProjector(), AccountStatementProjector()])
def test_an_event_in_the_stream_of_another_account_is_impossible(projector):
    with pytest.raises(ImpossibleEvent, match="it stands in account-acc-2"):
        folded(projector, recorded(CREATED, stream_id="account-acc-2"))


@pytest.mark.parametrize("projector", [AccountSummaryProjector(), AccountStatementProjector()])
def test_streams_of_accounts_are_selected_and_no_others(projector):
    assert selects(projector=projector, stream_id="account-acc-1")
    assert entity_id(projector=projector, stream_id="account-acc-1") == "acc-1"
    assert not selects(projector=projector, stream_id="transfer-1")


@pytest.mark.parametrize("projector", PROJECTORS)
def test_rows_fill_every_column_of_the_read_model(projector):
    assert sorted(projector.columns) == sorted(field.attname for field in projector.model._meta.concrete_fields)
    assert {projector.stream_column, projector.model._meta.pk.attname} <= set(projector.columns)


def test_an_entry_leaves_out_what_does_not_apply():
    row = {
        "event_id": UUID(int=1),
        "account_id": "acc-1",
        "stream_version": 1,
        "event_type": "AccountCreated",
        "amount": None,
        "currency": "USD",
        "transaction_id": None,
        "reason": None,
        "transfer_id": None,
        "counterparty": None,
        "description": None,
        "metadata": {},
        "balance": 0,
        "occurred_at": NOON,
    }
    assert entry_document(row) == {
        "eventId": UUID(int=1),
        "accountId": "acc-1",
        "streamVersion": 1,
        "eventType": "AccountCreated",
        "balance": 0,
        "occurredAt": NOON,
    }
    assert entry_document(row | {"amount": 5, "balance": 5})["currency"] == "USD"
