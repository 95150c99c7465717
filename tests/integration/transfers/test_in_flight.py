"""The list of transfers in flight, which PostgreSQL keeps in the same append as the events that change it."""

import pytest
from django.db import connection

from accounts.handlers import freeze_account
from bank.metrics import exposition
from tests.factories import FreezeAccountFactory
from tests.integration.transfers.settlements import no_settlements, stopped_transfer
from tests.keyed_account_commands import opened_with
from tests.transfer_books import OPEN, transfer, transfer_id_of
from transfers.domain.commands import RetryTransfer
from transfers.handlers import resume_transfer, retry_transfer
from transfers.in_flight import due_transfers, measure_in_flight, stuck_transfers
from transfers.repository import load_transfer, transfer_stream_id

MANY = 10_000


@pytest.fixture(autouse=True)
def apart(settings) -> None:
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0


@pytest.fixture
def stopped() -> str:
    """A transfer whose second step could not be done."""
    with no_settlements():
        return transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))


def is_listed(transfer_id: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM transfers_in_flight WHERE stream_id = %s", [transfer_stream_id(transfer_id)]
        )
        return cursor.fetchone() == (1,)


def test_a_stopped_transfer_is_due_until_it_has_ended(stopped):
    assert stopped in due_transfers(limit=MANY)
    assert resume_transfer(transfer_id=stopped).state == "COMPLETED"
    assert stopped not in due_transfers(limit=MANY)
    assert not is_listed(stopped)


def test_one_that_is_refunded_has_ended_too():
    transfer_id, source, destination = stopped_transfer()
    freeze_account(command=FreezeAccountFactory.build(account_id=destination), context=OPEN)
    assert is_listed(transfer_id)
    resumed = resume_transfer(transfer_id=transfer_id)
    assert (resumed.state, resumed.failure.refunded_to) == ("FAILED", source)
    assert not is_listed(transfer_id)


def test_one_that_is_in_good_hands_is_not_due(settings, stopped):
    settings.TRANSFER_RESUME_SECONDS = 3600
    other = transfer_id_of(transfer(opened_with(5), opened_with(0), 5))
    assert not is_listed(other)
    with no_settlements():
        assert resume_transfer(transfer_id=stopped).attempts == 1
    assert is_listed(stopped)
    assert stopped not in due_transfers(limit=MANY)


def test_both_kinds_are_counted_and_the_oldest_ages(settings, stopped):
    before = measure_in_flight()
    settings.TRANSFER_MAX_ATTEMPTS = 0
    resume_transfer(transfer_id=stopped)
    after = measure_in_flight()
    assert (after.transfers, after.stuck) == (before.transfers, before.stuck + 1)
    assert 0 < before.oldest_age_seconds < after.oldest_age_seconds
    metrics = exposition().decode()
    assert f"transfers_in_flight {float(after.transfers)}" in metrics
    assert f"transfers_stuck {float(after.stuck)}" in metrics
    assert "\ntransfers_oldest_in_flight_seconds " in metrics


def test_a_stuck_one_waits_for_an_operator(settings, stopped):
    settings.TRANSFER_MAX_ATTEMPTS = 0
    assert resume_transfer(transfer_id=stopped).state == "STUCK"
    assert stopped in stuck_transfers()
    assert stopped not in due_transfers(limit=MANY)
    retry_transfer(command=RetryTransfer(transfer_id=stopped, reason="looked at it"), context=OPEN)
    assert stopped not in stuck_transfers()
    assert stopped in due_transfers(limit=MANY)
    settings.TRANSFER_MAX_ATTEMPTS = 1
    assert resume_transfer(transfer_id=stopped).state == "COMPLETED"
    assert not is_listed(stopped)


def test_a_transfer_in_one_commit_is_never_listed(settings):
    settings.TRANSFER_STEPS = "together"
    source = opened_with(5)
    done, failed = transfer(source, opened_with(0), 5), transfer(source, opened_with(0), 5)
    assert [load_transfer(transfer_id_of(ended)).state.state for ended in (done, failed)] == ["COMPLETED", "FAILED"]
    assert not is_listed(transfer_id_of(done))
    assert not is_listed(transfer_id_of(failed))
