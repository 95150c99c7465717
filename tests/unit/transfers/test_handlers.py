"""What the handlers make of transfers, on a log in memory, with steps together and apart."""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import uuid4

import pytest

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.domain.account import AccountStatus
from accounts.domain.exceptions import AccountReserved
from accounts.domain.money import MAX_AMOUNT
from accounts.handlers import close_account, create_account, freeze_account
from accounts.repository import account_stream_id, load_account
from eventstore.exceptions import StoreUnavailable
from eventstore.records import CommandContext, Commit, StoredState
from eventstore.store import EventStore
from tests.factories import (
    NOON,
    CloseAccountFactory,
    CreateAccountFactory,
    FreezeAccountFactory,
    InitiateTransferFactory,
    NewEventFactory,
    StreamAppendFactory,
)
from tests.keyed_account_commands import OPEN, assert_replayed, deposit, keyed, opened_with
from tests.polling import wait_until
from tests.transfer_books import books_of, fresh_id, legs_of, legs_that_make, transfer, transfer_id_of
from transfers.decisions import decide_resumption
from transfers.domain.commands import ReleaseSuspense, ResumeTransfer, RetryTransfer
from transfers.domain.events import TransferInitiated
from transfers.domain.exceptions import TransferNotFound
from transfers.domain.transfer import Transfer, TransferState
from transfers.handlers import initiate_transfer, release_suspense, resume_transfer, retry_transfer
from transfers.in_flight import InFlight, due_transfers, measure_in_flight, stuck_transfers
from transfers.repository import load_transfer, transfer_stream_id
from transfers.tasks import resume_due, resume_forever

pytestmark = pytest.mark.usefixtures("store")

AHEAD = datetime.now(UTC) + timedelta(hours=5)
"""When what was imported, or came of a clock that was fast, has occurred."""


@pytest.fixture(params=["together", "apart"])
def either_way(request, settings) -> str:
    settings.TRANSFER_STEPS = request.param
    return request.param


@pytest.fixture
def apart(settings) -> None:
    """Two commits, and stopped transfers that are due at once."""
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0


class Settlements:
    """The second of two steps, which a test can keep from happening."""

    def __init__(self, store: EventStore) -> None:
        self._append = store.append
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def go_on(self) -> None:
        self._stopped = False

    def append(self, commits):
        if self._stopped and any(commit.command and commit.command.key.scope == "saga" for commit in commits):
            raise StoreUnavailable("stopped by the test")
        return self._append(commits)


@pytest.fixture
def settlements(store, monkeypatch) -> Settlements:
    settlements = Settlements(store)
    monkeypatch.setattr(store, "append", settlements.append)
    return settlements


def freeze(account_id: str) -> None:
    assert not freeze_account(command=FreezeAccountFactory.build(account_id=account_id), context=OPEN).refused


def close(account_id: str) -> None:
    assert not close_account(command=CloseAccountFactory.build(account_id=account_id), context=OPEN).refused


def log(store: EventStore) -> list:
    return store.read_all(after_position=0, limit=10_000)


def types(store: EventStore, stream_id: str) -> list[str]:
    return [event.event_type for event in store.read_stream(stream_id, limit=100)]


def balance(account_id: str) -> int:
    return load_account(account_id).state.balance


def test_money_is_moved(either_way, store):
    source, destination = opened_with(1000), opened_with(5)
    outcome = transfer(source, destination, 700, description="rent", transaction_id="txn-9")
    assert not outcome.refused
    assert (outcome.result["status"], outcome.result["state"]) == ("accepted", "COMPLETED")
    assert (balance(source), balance(destination)) == (300, 705)
    assert outcome.last_position == store.head_position()
    for account_id, other, name in ((source, destination, "MoneyWithdrawn"), (destination, source, "MoneyDeposited")):
        leg = store.read_stream(account_stream_id(account_id), limit=100)[-1]
        assert leg.event_type == name
        assert leg.data == {
            "accountId": account_id,
            "amount": 700,
            "currency": "USD",
            "transactionId": "txn-9",
            "contra": "transit",
            "transferId": outcome.result["transferId"],
            "counterparty": other,
            "description": "rent",
        }


def test_together_it_is_one_commit(settings, store):
    settings.TRANSFER_STEPS = "together"
    source, destination = opened_with(1000), opened_with(0)
    before = store.head_position()
    outcome = transfer(source, destination, 700)
    assert (outcome.first_position, outcome.last_position) == (before + 1, before + 4)
    assert types(store, transfer_stream_id(transfer_id_of(outcome))) == ["TransferInitiated", "TransferCompleted"]


def test_apart_it_is_two_commits(apart, store):
    source, destination = opened_with(1000), opened_with(0)
    before = store.head_position()
    outcome = transfer(source, destination, 700)
    assert [event.event_type for event in log(store)[before:]] == [
        "TransferInitiated",
        "TransferDebited",
        "MoneyWithdrawn",
        "TransferCompleted",
        "MoneyDeposited",
    ]
    assert outcome.result["state"] == "COMPLETED"


REFUSING_DESTINATIONS = {
    "destination_not_found": lambda: fresh_id("acc"),
    "account_frozen": lambda: frozen_with(0),
    "account_closed": lambda: closed(),
    "currency_mismatch": lambda: in_euros(),
    "balance_limit_exceeded": lambda: opened_with(MAX_AMOUNT),
}


def frozen_with(amount: int) -> str:
    account_id = opened_with(amount)
    freeze(account_id)
    return account_id


def closed() -> str:
    account_id = opened_with(0)
    close(account_id)
    return account_id


def in_euros() -> str:
    command = CreateAccountFactory.build(currency="EUR")
    create_account(command=command, context=OPEN)
    return command.account_id


@pytest.mark.parametrize("code", REFUSING_DESTINATIONS)
def test_a_destination_that_refuses_costs_nothing(either_way, store, code):
    source, destination = opened_with(1000), REFUSING_DESTINATIONS[code]()
    outcome = transfer(source, destination, 700)
    assert outcome.refused
    assert outcome.result["code"] == code
    assert outcome.result["fields"]["accountId"] == destination
    assert "balance" not in outcome.result["fields"]
    transfer_id = outcome.result["fields"]["transferId"]
    assert load_transfer(transfer_id).state.state == "FAILED"
    assert balance(source) == 1000
    legs = legs_of(log(store)).get(transfer_id, [])
    assert [(leg.account_id, leg.amount, leg.refund) for leg in legs] == (
        [] if either_way == "together" else [(source, -700, False), (source, 700, True)]
    )
    assert books_of(log(store)).balance()


@pytest.mark.parametrize(
    ("account", "code"),
    [(lambda: opened_with(5), "insufficient_funds"), (lambda: frozen_with(1000), "account_frozen")],
)
def test_a_source_that_refuses_is_a_failed_transfer(either_way, store, account, code):
    source, destination = account(), opened_with(0)
    outcome = transfer(source, destination, 700)
    assert (outcome.refused, outcome.result["code"]) == (True, code)
    assert types(store, transfer_stream_id(transfer_id_of(outcome))) == ["TransferInitiated", "TransferFailed"]
    assert transfer_id_of(outcome) not in legs_of(log(store))


@pytest.mark.parametrize("reach", [EVERY_ACCOUNT, AccountReach(client_id="app-7")], ids=["all", "own"])
def test_an_unknown_source_is_no_transfer_and_a_late_first_attempt_is_none_either(either_way, store, reach):
    opening, destination, context = CreateAccountFactory.build(client_id="app-7"), opened_with(0), keyed()
    before = store.head_position()
    command = InitiateTransferFactory.build(
        source_account_id=opening.account_id, destination_account_id=destination, amount=5
    )
    for asked in (context, OPEN):
        refused = initiate_transfer(command=command, context=asked, reach=reach)
        assert refused.result == {"code": "account_not_found", "fields": {"accountId": opening.account_id}}
    assert store.head_position() == before
    create_account(command=opening, context=OPEN)
    deposit(opening.account_id, 5)
    late = initiate_transfer(command=command, context=context, reach=reach)
    assert (late.refused, late.replayed, late.result) == (True, True, refused.result)
    assert (balance(opening.account_id), balance(destination)) == (5, 0)
    assert not initiate_transfer(command=command, context=keyed(), reach=reach).refused


@pytest.mark.parametrize("ends", [("acc-1", "acc-1"), ("suspense:USD", "acc-1"), ("acc-1", "suspense:USD")])
def test_what_is_no_transfer_at_all_is_refused_outright(either_way, store, ends):
    before = store.head_position()
    with pytest.raises(ValueError, match="no transfer can go from"):
        transfer(ends[0], ends[1], 5)
    assert store.head_position() == before


def test_the_same_words_are_the_same_transfer(either_way, store):
    source, destination = opened_with(1000), opened_with(0)
    command = InitiateTransferFactory.build(source_account_id=source, destination_account_id=destination)
    first = initiate_transfer(command=command, context=OPEN)
    head = store.head_position()
    again = initiate_transfer(command=command, context=keyed())
    assert again.result == first.result
    assert store.head_position() == head
    assert balance(source) == 0


def test_other_words_under_the_same_id_are_refused(either_way):
    source, destination = opened_with(1000), opened_with(0)
    transfer(source, destination, 10, transfer_id=(transfer_id := fresh_id("trf")))
    other = transfer(source, destination, 11, transfer_id=transfer_id)
    assert other.refused
    assert other.result == {"code": "transfer_exists", "fields": {"transferId": transfer_id}}
    assert balance(source) == 990


def test_a_key_is_used_once(either_way):
    source, destination = opened_with(1000), opened_with(0)
    context = keyed()
    first = transfer(source, destination, 600, context)
    # Each request without a transferId gets one of its own from the bank: the key decides.
    again = transfer(source, destination, 600, context)
    assert again.replayed
    assert again.result == first.result
    assert balance(source) == 400


def test_a_refusal_uses_up_its_key(either_way):
    source, destination = opened_with(100), opened_with(0)
    context = keyed()
    refused = transfer(source, destination, 600, context)
    deposit(source, 1000)
    assert_replayed(refused, transfer(source, destination, 600, context))
    assert balance(source) == 1100


MAKE_IT_REFUSE = {"closed": close, "full": lambda account_id: deposit(account_id, MAX_AMOUNT)}


class TestStoppedOnItsWay:
    """The second of two steps could not be done at once."""

    pytestmark = pytest.mark.usefixtures("apart")

    def test_the_client_learns_that_it_goes_on(self, settlements, store):
        source, destination = opened_with(1000), opened_with(0)
        context = keyed()
        settlements.stop()
        outcome = transfer(source, destination, 600, context)
        transfer_id = transfer_id_of(outcome)
        assert (outcome.refused, outcome.result["state"]) == (False, "PENDING")
        assert (balance(source), balance(destination)) == (400, 0)
        assert due_transfers(limit=100) == [transfer_id]
        settlements.go_on()
        resume_due(slice_seconds=5)
        assert balance(destination) == 600
        assert due_transfers(limit=100) == []
        replay = transfer(source, destination, 600, context)
        assert (replay.replayed, replay.result["state"]) == (True, "COMPLETED")
        last = store.read_stream(transfer_stream_id(transfer_id), limit=100)[-1]
        assert (replay.result["version"], replay.last_position) == (last.version, last.position)
        assert last.position > outcome.last_position

    def test_whoever_was_told_that_it_is_stuck_learns_what_became_of_it(self, settings, settlements, store):
        settings.TRANSFER_MAX_ATTEMPTS = 1
        source, destination, second = opened_with(1000), opened_with(0), keyed()
        command = InitiateTransferFactory.build(
            source_account_id=source, destination_account_id=destination, amount=600
        )
        settlements.stop()
        initiate_transfer(command=command, context=keyed())
        resume_due(slice_seconds=5)
        told = [initiate_transfer(command=command, context=second) for _ in range(2)]
        assert [(one.replayed, one.result["state"]) for one in told] == [(False, "STUCK"), (True, "STUCK")]
        settlements.go_on()
        retry = RetryTransfer(transfer_id=command.transfer_id, reason="looked at it")
        assert not retry_transfer(command=retry, context=OPEN).refused
        pending = initiate_transfer(command=command, context=second)
        assert (pending.replayed, pending.result["state"]) == (True, "PENDING")
        resume_due(slice_seconds=5)
        ended = initiate_transfer(command=command, context=second)
        assert (ended.replayed, ended.result["state"]) == (True, "COMPLETED")
        assert ended.last_position == store.read_stream(transfer_stream_id(command.transfer_id), limit=100)[-1].position

    def test_its_replay_may_be_a_refusal_by_now(self, settlements):
        source, destination = opened_with(1000), frozen_with(0)
        context = keyed()
        settlements.stop()
        assert not transfer(source, destination, 600, context).refused
        settlements.go_on()
        resume_due(slice_seconds=5)
        replay = transfer(source, destination, 600, context)
        assert (replay.replayed, replay.refused, replay.result["code"]) == (True, True, "account_frozen")
        assert balance(source) == 1000

    def test_a_frozen_source_takes_its_refund(self, settlements, store):
        source, destination = opened_with(1000), opened_with(0)
        settlements.stop()
        transfer_id = transfer_id_of(transfer(source, destination, 600))
        settlements.go_on()
        freeze(source)
        close(destination)
        assert resume_transfer(transfer_id=transfer_id).state == "FAILED"
        assert load_account(source).state.status is AccountStatus.FROZEN
        assert balance(source) == 1000

    @pytest.mark.parametrize("fate", MAKE_IT_REFUSE)
    def test_what_the_source_cannot_take_goes_into_suspense_and_out_of_it(self, settlements, store, fate):
        source, destination, other = opened_with(600), frozen_with(0), opened_with(1)
        suspended = balance("suspense:USD")
        settlements.stop()
        transfer_id = transfer_id_of(transfer(source, destination, 600))
        settlements.go_on()
        MAKE_IT_REFUSE[fate](source)
        ended = resume_transfer(transfer_id=transfer_id)
        assert (ended.state, ended.failure.refunded_to) == (TransferState.FAILED, "suspense:USD")
        assert balance("suspense:USD") == suspended + 600
        assert books_of(log(store)).balance()

        refused = release_suspense(command=self.release(transfer_id, destination), context=OPEN)
        assert (refused.refused, refused.result["code"]) == (True, "account_frozen")
        assert not release_suspense(command=self.release(transfer_id, other), context=OPEN).refused
        assert (balance("suspense:USD"), balance(other)) == (suspended, 601)
        # In this order, whatever the account is called: money is there before it is paid out.
        assert legs_of(log(store))[transfer_id] == legs_that_make(load_transfer(transfer_id).state)
        again = release_suspense(command=self.release(transfer_id, other), context=OPEN)
        assert again.result == {"code": "nothing_in_suspense", "fields": {"transferId": transfer_id}}
        assert books_of(log(store)).balance()

    def release(self, transfer_id: str, account_id: str) -> ReleaseSuspense:
        return ReleaseSuspense(transfer_id=transfer_id, account_id=account_id, reason="asked the owner")

    @pytest.mark.parametrize("snapshot_every_events", [1, 100])
    def test_after_so_many_attempts_it_is_stuck_until_somebody_retries(
        self, settings, settlements, store, snapshot_every_events
    ):
        settings.TRANSFER_MAX_ATTEMPTS, settings.SNAPSHOT_EVERY_EVENTS = 3, snapshot_every_events
        source, destination = opened_with(1000), opened_with(0)
        settlements.stop()
        transfer_id = transfer_id_of(transfer(source, destination, 600))
        for _ in range(5):
            resume_due(slice_seconds=5)
        stored = load_transfer(transfer_id).state
        assert (stored.state, stored.attempts) == (TransferState.STUCK, 3)
        assert stuck_transfers() == [transfer_id]
        assert due_transfers(limit=100) == []
        stuck = store.read_stream(transfer_stream_id(transfer_id), limit=100)[-1]
        assert (stuck.event_type, stuck.data["attempts"]) == ("TransferStuck", 3)
        assert "stopped by the test" in stuck.data["error"]

        settlements.go_on()
        assert resume_transfer(transfer_id=transfer_id).state == "STUCK"
        retry = RetryTransfer(transfer_id=transfer_id, reason="the other bank is back")
        assert retry_transfer(command=retry, context=OPEN).result["state"] == "PENDING"
        resume_due(slice_seconds=5)
        assert load_transfer(transfer_id).state.state == "COMPLETED"
        assert balance(destination) == 600
        refused = retry_transfer(command=retry, context=OPEN)
        fields = {"transferId": transfer_id, "state": "COMPLETED"}
        assert refused.result == {"code": "transfer_not_stuck", "fields": fields}

    def test_an_attempt_that_ends_its_process_is_used_up_too(self, settings, store, settlements, monkeypatch):
        settings.TRANSFER_MAX_ATTEMPTS = 2
        settlements.stop()
        transfer_id = transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))
        monkeypatch.setattr("transfers.handlers._settle", die)
        for _ in range(2):
            with pytest.raises(Death):
                resume_due(slice_seconds=5)
        resume_due(slice_seconds=5)
        assert load_transfer(transfer_id).state.state == "STUCK"

    def test_one_that_is_not_due_is_left_alone(self, settings, settlements, store):
        settings.TRANSFER_RESUME_SECONDS = 3600
        settlements.stop()
        transfer_id = transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))
        settlements.go_on()
        head = store.head_position()
        assert due_transfers(limit=100) == []
        assert resume_transfer(transfer_id=transfer_id).state == "PENDING"
        assert store.head_position() == head

    def test_an_account_that_is_ahead_of_the_clock_puts_nothing_off(self, settings, settlements, store):
        settings.TRANSFER_MAX_ATTEMPTS = 1
        source, destination = opened_with(1000), opened_with(0)
        deposit(source, 1, CommandContext(occurred_at=AHEAD))
        settlements.stop()
        transfer_id = transfer_id_of(transfer(source, destination, 600))
        assert due_transfers(limit=100) == [transfer_id]
        resume_due(slice_seconds=5)
        assert stuck_transfers() == [transfer_id]
        settlements.go_on()
        retry = RetryTransfer(transfer_id=transfer_id, reason="looked at it")
        assert not retry_transfer(command=retry, context=OPEN).refused
        assert due_transfers(limit=100) == [transfer_id]
        assert resume_transfer(transfer_id=transfer_id).state == "COMPLETED"
        # What it did is told in the order of the account's own history all the same.
        events = store.read_stream(transfer_stream_id(transfer_id), limit=100)
        assert {event.occurred_at for event in events} == {AHEAD}

    def test_nor_does_it_make_anything_due_too_early(self, settings, settlements):
        settings.TRANSFER_RESUME_SECONDS = 3600
        source = opened_with(1000)
        deposit(source, 1, CommandContext(occurred_at=AHEAD))
        settlements.stop()
        transfer_id = transfer_id_of(transfer(source, opened_with(0), 600))
        settlements.go_on()
        assert due_transfers(limit=100) == []
        assert resume_transfer(transfer_id=transfer_id).state == "PENDING"

    @pytest.mark.parametrize(
        ("attempt", "jitter", "seconds"), [(1, 0.0, 5), (2, 0.0, 10), (3, 1.0, 40), (20, 0.5, 5400), (2000, 0, 3600)]
    )
    def test_the_wait_doubles_up_to_an_hour_and_jitter_spreads_it(self, settings, attempt, jitter, seconds):
        settings.TRANSFER_RESUME_SECONDS, settings.TRANSFER_MAX_ATTEMPTS = 5, 5000
        asked = TransferInitiated(
            transfer_id="trf-1", source_account_id="acc-1", destination_account_id="acc-2", amount=1, currency="USD"
        )
        pending = Transfer(
            initiated=asked, state=TransferState.PENDING, attempts=attempt - 1, resume_at=NOON.isoformat()
        )
        stream_id = transfer_stream_id("trf-1")
        stored = StoredState(
            stream_id=stream_id, version=2, hash=bytes(32), occurred_at=NOON, snapshot_version=0, state=pending
        )
        command = ResumeTransfer(transfer_id="trf-1", jitter=jitter)
        [resumed] = decide_resumption({stream_id: stored}, command, AHEAD, uuid4, clock=NOON).events[stream_id]
        assert resumed.data["attempt"] == attempt
        assert datetime.fromisoformat(resumed.data["resumeAt"]) - NOON == timedelta(seconds=seconds)

    def test_what_the_bank_does_later_is_tied_to_the_request(self, settlements, store):
        settlements.stop()
        source, destination = opened_with(1000), opened_with(0)
        context = type(OPEN)(metadata={"actor": "app-7", "correlationId": "c-1"})
        transfer_id = transfer_id_of(transfer(source, destination, 600, context))
        settlements.go_on()
        resume_due(slice_seconds=5)
        initiated = store.read_stream(transfer_stream_id(transfer_id), limit=1)[0]
        credit = store.read_stream(account_stream_id(destination), limit=100)[-1]
        assert credit.metadata == {"actor": "saga", "correlationId": "c-1", "causationId": str(initiated.event_id)}


class TestUnreadable:
    """Transfers in flight whose history makes no sense to this release: they keep none waiting, and none is lost."""

    pytestmark = pytest.mark.usefixtures("apart")

    @pytest.fixture
    def unreadable(self, store) -> list[str]:
        """Begin more of them than one run looks at, all due before any other."""
        said = [("TransferInitiated", {}), ("TransferDebited", {"resumeAt": NOON.isoformat()})]
        events = [NewEventFactory.build(event_type=name, schema_version=99, data=data) for name, data in said]
        transfer_ids = [fresh_id("trf") for _ in range(4)]
        appends = [
            StreamAppendFactory.build(stream_id=transfer_stream_id(one), events=tuple(events)) for one in transfer_ids
        ]
        store.append([Commit(streams=(append,)) for append in appends])
        return transfer_ids

    @pytest.fixture(autouse=True)
    def small_batches(self, monkeypatch):
        monkeypatch.setattr("transfers.tasks.BATCH_TRANSFERS", 3)

    def test_others_are_resumed_all_the_same(self, settings, settlements, store, unreadable, caplog):
        settlements.stop()
        waiting = transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))
        settlements.go_on()
        settings.TRANSFER_RESUME_SECONDS = 3600
        for _ in range(2):
            resume_due(slice_seconds=5)
        assert load_transfer(waiting).state.state == "COMPLETED"
        assert due_transfers(limit=100) == []
        for transfer_id in unreadable:
            assert types(store, transfer_stream_id(transfer_id))[2:] == ["TransferResumed"]
            assert f"transfer {transfer_id} could not be resumed" in caplog.text

    def test_they_end_up_with_the_operators_who_can_retry_them(self, settings, store, unreadable):
        settings.TRANSFER_MAX_ATTEMPTS = 2
        for _ in range(6):
            resume_due(slice_seconds=5)
        assert stuck_transfers() == sorted(unreadable)
        assert measure_in_flight().stuck == 4
        retry = RetryTransfer(transfer_id=unreadable[0], reason="this release can read it")
        assert not retry_transfer(command=retry, context=OPEN).refused
        assert due_transfers(limit=100) == unreadable[:1]


def test_a_bank_of_one_process_resumes_in_a_thread(settings, apart, settlements, caplog):
    settings.TRANSFER_TICK_SECONDS, settings.TRANSFER_MAX_ATTEMPTS, stop = 0.01, 10_000, Event()
    settlements.stop()
    transfer_id = transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))
    resuming = Thread(target=resume_forever, kwargs={"stop": stop})
    resuming.start()
    try:
        wait_until(lambda: f"transfer {transfer_id} could not be resumed" in caplog.text)
        settlements.go_on()
        wait_until(lambda: load_transfer(transfer_id).state.state == "COMPLETED")
    finally:
        stop.set()
        resuming.join()
    assert measure_in_flight() == InFlight(transfers=0, stuck=0, oldest_age_seconds=0)


def test_the_banks_own_account_cannot_be_paid_out_to_itself(apart, settlements):
    source = opened_with(600)
    settlements.stop()
    transfer_id = transfer_id_of(transfer(source, frozen_with(0), 600))
    settlements.go_on()
    close(source)
    resume_due(slice_seconds=5)
    command = ReleaseSuspense(transfer_id=transfer_id, account_id="suspense:USD", reason="try")
    assert release_suspense(command=command, context=OPEN).result["code"] == AccountReserved.code


def test_what_was_never_asked_for_cannot_be_acted_on():
    unknown = fresh_id("trf")
    with pytest.raises(TransferNotFound):
        resume_transfer(transfer_id=unknown)
    with pytest.raises(TransferNotFound):
        release_suspense(command=ReleaseSuspense(transfer_id=unknown, account_id="acc-1", reason="x"), context=OPEN)
    refused = retry_transfer(command=RetryTransfer(transfer_id=unknown, reason="x"), context=OPEN)
    assert refused.result == {"code": "transfer_not_found", "fields": {"transferId": unknown}}


class Death(BaseException):
    """Ends a process, as far as the code that runs in it can tell."""


def die(*_: object) -> None:
    raise Death
