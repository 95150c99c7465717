"""Web servers and workers killed with SIGKILL at every boundary of a transfer: nothing is lost or done twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from uuid import uuid4

import httpx
import pytest

from accounts.repository import load_account
from projections.models import AccountSummary, TransferStatus
from projections.runner import catch_up
from tests.integration.transfers.killings import (
    ENDED,
    WEB_BOUNDARIES,
    WORKER_BOUNDARIES,
    Killings,
    events_of,
    suspense_balance,
)
from tests.integration.transfers.mortal_bank import MortalBank, mortal_bank
from tests.integration.transfers.persistent_clients import Clients
from tests.transfer_books import books_of, legs_of, legs_that_make
from transfers.domain.transfer import Transfer, TransferState
from transfers.repository import transfer_stream_id

OUTCOMES = {
    "together": {"completed", "failed with nothing debited"},
    "apart": {"completed", "failed with nothing debited", "refunded", "kept in suspense"},
}


@pytest.fixture(params=["together", "apart"])
def steps(request) -> str:
    return request.param


@pytest.fixture
def bank(steps, tmp_path) -> Iterator[MortalBank]:
    with mortal_bank(directory=tmp_path, steps=steps) as bank:
        yield bank


@pytest.fixture
def clients(bank) -> Iterator[Clients]:
    with httpx.Client(base_url=bank.web.url, timeout=20) as http:
        yield Clients(http)


def kill_everywhere(killings: Killings, *, kills: int, suspended: int, transfers: int) -> None:
    """Kill at each boundary, and let that many refunds have nowhere to go but into suspense."""
    for name in WEB_BOUNDARIES[killings.steps]:
        for _ in range(kills):
            killings.kill_web(name, transfers=transfers)
    if killings.steps == "apart":
        for _ in range(suspended):
            killings.kill_web("between the commits", transfers=transfers, into_suspense=True)
        for name in WORKER_BOUNDARIES:
            for _ in range(kills):
                killings.kill_worker(name, transfers=transfers)
    killings.finish()


def assert_all_is_well(killings: Killings) -> Counter[str]:
    """Check every transfer, leg and unit of money, and return how the transfers ended."""
    transfers, events = killings.transfers(), killings.events()
    assert {transfer.state for transfer in transfers} <= {TransferState.COMPLETED, TransferState.FAILED}
    for one in killings.asked:
        assert sum(name in ENDED for name in events_of(transfer_stream_id(one.transfer_id))) == 1
    assert legs_of(events) == {one.order.transfer_id: made for one in transfers if (made := legs_that_make(one))}
    books = books_of(events)
    assert (books.external, books.in_flight) == (killings.deposited - killings.withdrawn, 0)
    assert killings.withdrawn
    balances = sum(load_account(one).state.balance for one in killings.accounts)
    assert books.balances == balances + suspense_balance() - killings.suspense_before == books.external
    assert_projected(killings.accounts, transfers)
    return Counter(outcome_of(transfer) for transfer in transfers)


def assert_projected(accounts: Iterable[str], transfers: Iterable[Transfer]) -> None:
    catch_up()
    for transfer in transfers:
        row = TransferStatus.objects.get(transfer_id=transfer.order.transfer_id)
        refunded_to = transfer.failure.refunded_to if transfer.failure else None
        assert (row.state, row.refunded_to) == (transfer.state, refunded_to)
    for account_id in accounts:
        assert AccountSummary.objects.get(account_id=account_id).balance == load_account(account_id).state.balance


def outcome_of(transfer: Transfer) -> str:
    if transfer.failure is None:
        return "completed"
    refunded_to = transfer.failure.refunded_to
    if refunded_to is None:
        return "failed with nothing debited"
    return "refunded" if refunded_to == transfer.order.source_account_id else "kept in suspense"


def test_processes_killed_at_each_boundary(bank, clients, steps):
    killings = Killings(bank=bank, clients=clients, steps=steps, seed=uuid4().int)
    kill_everywhere(killings, kills=1, suspended=1, transfers=2)
    assert_all_is_well(killings)
    assert set(killings.kills) == boundaries(steps)


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_four_hundred_transfers_and_ten_kills_at_each_boundary(bank, clients, steps):
    killings = Killings(bank=bank, clients=clients, steps=steps, seed=4711)
    kill_everywhere(killings, kills=10, suspended=20, transfers=20 if steps == "together" else 6)
    outcomes = assert_all_is_well(killings)
    print(f"\nsteps {steps}, seed {killings.seed}: {len(killings.asked)} transfers: {dict(outcomes)}")
    print(f"killed: {dict(killings.kills)}; {clients.unanswered} requests without an answer")
    assert len(killings.asked) >= 400
    assert set(killings.kills) == boundaries(steps)
    assert min(killings.kills.values()) >= 10
    assert set(outcomes) == OUTCOMES[steps]
    assert min(outcomes.values()) >= 20


def boundaries(steps: str) -> set[str]:
    """Return the names of the boundaries that a transfer has: one in a single commit is never taken up later."""
    return {*WEB_BOUNDARIES[steps], *(WORKER_BOUNDARIES if steps == "apart" else ())}
