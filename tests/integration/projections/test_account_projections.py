"""The accounts' read models against the log: to the unit, whatever happens on the way."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from accounts.domain.events import AccountClosed, AccountFrozen, AccountUnfrozen
from accounts.domain.exceptions import UnknownEventType
from accounts.event_types import decode
from accounts.repository import account_stream_id
from eventstore.records import StreamAppend
from projections.engine import advance
from projections.models import AccountStatement, AccountSummary, ProjectionFailure
from projections.runner import catch_up
from projections.streams import rebuild_stream
from tests.factories import NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    ACCOUNT_PROJECTORS,
    account_append,
    append,
    assert_read_models_match,
    busy_account,
    created,
    deposited,
    events_of,
    new_account_id,
    record,
    withdrawn,
)
from tests.round_trips import round_trips


def parked_in(stream: StreamAppend) -> dict[str, tuple[int, str]]:
    """Return the version and the kind of error at which each projection parked the stream."""
    failures = ProjectionFailure.objects.filter(stream_id=stream.stream_id)
    return {failure.projection: (failure.version, failure.error.partition(":")[0]) for failure in failures}


def parked_everywhere(version: int, error: str) -> dict[str, tuple[int, str]]:
    return {projector.name: (version, error) for projector in ACCOUNT_PROJECTORS}


def test_an_account_from_its_first_event_to_its_last():
    account_id = new_account_id()
    stream = record(
        created(account_id, owner_id="user-7", client_id="app-1", currency="KWD"),
        deposited(account_id, 1500, currency="KWD", transaction_id="txn-1", description="gift", metadata={"k": "v"}),
        withdrawn(
            account_id, 1500, currency="KWD", contra="transit", transfer_id="transfer-1", counterparty="acc-other"
        ),
        AccountFrozen(account_id=account_id, reason="compliance review"),
        AccountUnfrozen(account_id=account_id, reason="done"),
        AccountClosed(account_id=account_id, reason="owner's wish"),
    )
    catch_up()

    assert_read_models_match([stream.stream_id])
    summary = AccountSummary.objects.get(account_id=account_id)
    assert (summary.owner_id, summary.client_id, summary.status, summary.balance) == ("user-7", "app-1", "CLOSED", 0)
    lines = list(AccountStatement.objects.filter(account_id=account_id).order_by("stream_version"))
    assert [(line.event_type, line.balance) for line in lines] == [
        ("AccountCreated", 0),
        ("MoneyDeposited", 1500),
        ("MoneyWithdrawn", 0),
        ("AccountFrozen", 0),
        ("AccountUnfrozen", 0),
        ("AccountClosed", 0),
    ]
    assert {line.currency for line in lines} == {"KWD"}
    deposit, withdrawal, freeze = lines[1:4]
    assert (deposit.transaction_id, deposit.contra, deposit.description) == ("txn-1", "external", "gift")
    assert deposit.metadata == {"k": "v"}
    assert (withdrawal.contra, withdrawal.transfer_id, withdrawal.counterparty) == (
        "transit",
        "transfer-1",
        "acc-other",
    )
    assert (freeze.reason, freeze.amount, freeze.contra, freeze.metadata) == ("compliance review", None, None, {})


def test_an_account_goes_on_from_its_rows(settings):
    settings.PROJECTION_BATCH_EVENTS = 3
    account_id = new_account_id()
    stream = record(created(account_id), deposited(account_id, 50))
    catch_up()
    later = record(*[withdrawn(account_id, 7) for _ in range(7)], after=stream)
    catch_up()
    record(AccountFrozen(account_id=account_id), deposited(account_id, 1), after=later)
    catch_up()
    assert_read_models_match([stream.stream_id])
    assert AccountSummary.objects.get(account_id=account_id).status == "FROZEN"


def test_many_accounts_in_one_batch():
    streams = [busy_account(number % 7 + 1) for number in range(60)]
    append(*streams)
    catch_up()
    assert_read_models_match([stream.stream_id for stream in streams])


def statements_of_a_batch(projector, *, accounts: int) -> int:
    append(*[busy_account(3) for _ in range(accounts)])
    trips = round_trips(lambda: advance(projector=projector))
    catch_up()
    return trips


@pytest.mark.parametrize("projector", ACCOUNT_PROJECTORS)
def test_a_batch_takes_as_many_statements_for_many_accounts_as_for_one(projector):
    catch_up()
    assert statements_of_a_batch(projector, accounts=40) == statements_of_a_batch(projector, accounts=1)


def test_an_event_stored_in_an_old_shape_is_projected():
    account_id = new_account_id()
    opening = account_append(created(account_id))
    data = {"accountId": account_id, "amount": 5, "currency": "USD"}
    deposit = NewEventFactory.build(event_type="MoneyDeposited", schema_version=1, data=data)
    append(opening, StreamAppendFactory.build(after=opening, events=(deposit,)))
    catch_up()
    assert AccountStatement.objects.get(account_id=account_id, stream_version=2).contra == "external"
    assert_read_models_match([opening.stream_id])


@pytest.mark.parametrize(
    ("event_type", "data", "error"),
    [
        ("MoneyVanished", {}, "UnknownEventType"),
        ("MoneyDeposited", {"amount": "5", "currency": "USD", "contra": "external"}, "MalformedEvent"),
        ("MoneyWithdrawn", {"amount": 101, "currency": "USD", "contra": "external"}, "ImpossibleEvent"),
        ("MoneyDeposited", {"amount": 5, "currency": "EUR", "contra": "external"}, "ImpossibleEvent"),
        ("AccountCreated", {"ownerId": "user-1", "currency": "USD"}, "ImpossibleEvent"),
        ("MoneyDeposited", {"accountId": "acc-1", "amount": 5, "currency": "USD", "contra": "x"}, "ImpossibleEvent"),
    ],
)
def test_a_poison_event_parks_its_account_in_both_projections(event_type, data, error):
    account_id = new_account_id()
    opening = account_append(created(account_id), deposited(account_id, 100))
    poison = NewEventFactory.build(
        event_type=event_type,
        schema_version=2 if event_type.startswith("Money") else 1,
        data={"accountId": account_id, **data},
    )
    poisoned = StreamAppendFactory.build(after=opening, events=(poison,))
    after_poison = account_append(deposited(account_id, 1), after=poisoned)
    healthy = busy_account(3)
    append(opening, poisoned, healthy, after_poison)
    catch_up()

    assert parked_in(opening) == parked_everywhere(3, error)
    assert AccountSummary.objects.get(account_id=account_id).balance == 100
    assert AccountStatement.objects.filter(account_id=account_id).count() == 2
    assert_read_models_match([healthy.stream_id])
    ProjectionFailure.objects.filter(stream_id=opening.stream_id).delete()


def test_nothing_follows_the_end_of_an_account_even_in_a_later_batch():
    account_id = new_account_id()
    closed = record(created(account_id), AccountClosed(account_id=account_id))
    catch_up()
    record(deposited(account_id, 1), after=closed)
    catch_up()
    assert parked_in(closed) == parked_everywhere(3, "ImpossibleEvent")
    ProjectionFailure.objects.filter(stream_id=closed.stream_id).delete()


def test_rebuilding_heals_an_account_when_the_program_is_mended(monkeypatch, settings):
    settings.PROJECTION_BATCH_EVENTS = 4
    stream, healthy = busy_account(11), busy_account(5)

    def faulty(*, event_type, schema_version, data):
        if data["accountId"] in stream.stream_id and data.get("amount") == 8:
            raise UnknownEventType(event_type=event_type, schema_version=schema_version)
        return decode(event_type=event_type, schema_version=schema_version, data=data)

    with monkeypatch.context() as patch:
        patch.setattr("projections.projectors.account_streams.decode", faulty)
        append(stream, healthy)
        catch_up()
        assert parked_in(stream) == parked_everywhere(5, "UnknownEventType")
        assert_read_models_match([healthy.stream_id])

    for projector in ACCOUNT_PROJECTORS:
        assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert parked_in(stream) == {}
    assert_read_models_match([stream.stream_id])


def test_rebuilding_repairs_damaged_rows(settings):
    settings.PROJECTION_BATCH_EVENTS = 7
    stream = busy_account(30)
    append(stream)
    catch_up()
    account_id = stream.stream_id.removeprefix("account-")
    AccountSummary.objects.filter(account_id=account_id).update(balance=1, version=29)
    AccountStatement.objects.filter(account_id=account_id, stream_version__gte=10).delete()

    for projector in ACCOUNT_PROJECTORS:
        assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert_read_models_match([stream.stream_id])


def test_a_row_that_the_database_refuses_parks_its_account_alone():
    stream, healthy = busy_account(5), busy_account(4)
    append(stream, healthy)
    third = events_of(stream.stream_id)[2]
    intruder = AccountStatement.objects.create(
        position=third.position,
        account_id=new_account_id(),
        stream_version=1,
        event_id=third.event_id,
        event_type="AccountFrozen",
        currency="USD",
        balance=0,
        occurred_at=third.occurred_at,
    )
    catch_up()
    assert parked_in(stream) == {"account_statement": (3, "IntegrityError")}
    lines = AccountStatement.objects.filter(account_id=stream.stream_id.removeprefix("account-"))
    assert sorted(lines.values_list("stream_version", flat=True)) == [1, 2]
    assert_read_models_match([healthy.stream_id])

    intruder.delete()
    [projector] = [projector for projector in ACCOUNT_PROJECTORS if projector.name == "account_statement"]
    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert parked_in(stream) == {}
    assert_read_models_match([stream.stream_id])


def catch_up_in_thread() -> None:
    try:
        catch_up()
    finally:
        connection.close()


def test_two_runners_at_once_project_each_event_once(settings):
    settings.PROJECTION_BATCH_EVENTS = 20
    streams = [busy_account(60) for _ in range(30)]
    append(*streams)
    with ThreadPoolExecutor(2) as pool:
        for runner in [pool.submit(catch_up_in_thread) for _ in range(2)]:
            runner.result()
    assert_read_models_match([stream.stream_id for stream in streams])
    assert not ProjectionFailure.objects.filter(stream_id__in=[stream.stream_id for stream in streams]).exists()


@pytest.mark.parametrize(
    ("column", "value"), [("balance", -1), ("balance", 2**53), ("status", "NEW"), ("version", 0), ("last_position", 0)]
)
def test_the_database_refuses_an_impossible_summary(column, value):
    account_id = new_account_id()
    record(created(account_id))
    catch_up()
    with pytest.raises(IntegrityError):
        AccountSummary.objects.filter(account_id=account_id).update(**{column: value})


@pytest.mark.parametrize(
    "change",
    [
        {"balance": -1},
        {"balance": 2**53},
        {"amount": 0},
        {"amount": None},
        {"contra": None},
        {"stream_version": 0},
        {"stream_version": 1},
    ],
)
def test_the_database_refuses_an_impossible_statement_line(change):
    account_id = new_account_id()
    record(created(account_id), deposited(account_id, 5))
    catch_up()
    with pytest.raises(IntegrityError):
        AccountStatement.objects.filter(account_id=account_id, stream_version=2).update(**change)


def test_a_stream_is_parked_once_in_each_projection():
    facts = {
        "projection": "account_summary",
        "stream_id": account_stream_id(new_account_id()),
        "version": 1,
        "position": 1,
        "event_id": NewEventFactory.build().event_id,
        "first_failed_at": timezone.now(),
        "last_failed_at": timezone.now(),
    }
    failure = ProjectionFailure.objects.create(**facts)
    with pytest.raises(IntegrityError):
        ProjectionFailure.objects.create(**facts)
    failure.delete()
