"""Keeps transfers from going on, so that tests find them stopped, stuck, or with their money in suspense."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.test import override_settings

from accounts.handlers import close_account, freeze_account
from eventstore.exceptions import StoreUnavailable
from eventstore.postgres import PostgresEventStore
from projections.runner import catch_up
from tests.factories import CloseAccountFactory, FreezeAccountFactory
from tests.keyed_account_commands import OPEN, opened_with
from tests.transfer_books import transfer, transfer_id_of
from transfers.handlers import resume_transfer

APART = {"TRANSFER_STEPS": "apart", "TRANSFER_RESUME_SECONDS": 0}


@contextmanager
def no_settlements() -> Iterator[None]:
    """Keep the second of two steps from being done."""
    append = PostgresEventStore.append

    def refuse(self, commits):
        if commits[0].command and commits[0].command.key.scope == "saga":
            raise StoreUnavailable("stopped by the test")
        return append(self, commits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresEventStore, "append", refuse)
        yield


@override_settings(**APART)
def stopped_transfer() -> tuple[str, str, str]:
    """Return a transfer of USD 6.00 that is in flight, its source and its destination."""
    source, destination = opened_with(600), opened_with(0)
    with no_settlements():
        return transfer_id_of(transfer(source, destination, 600)), source, destination


@override_settings(**APART)
def stuck_transfer() -> str:
    """Return a transfer that was given up."""
    transfer_id, _, _ = stopped_transfer()
    with override_settings(TRANSFER_MAX_ATTEMPTS=0):
        assert resume_transfer(transfer_id=transfer_id).state == "STUCK"
    catch_up()
    return transfer_id


@override_settings(**APART)
def transfer_in_suspense() -> str:
    """Return a transfer whose refund found its source closed."""
    transfer_id, source, destination = stopped_transfer()
    freeze_account(command=FreezeAccountFactory.build(account_id=destination), context=OPEN)
    close_account(command=CloseAccountFactory.build(account_id=source), context=OPEN)
    assert resume_transfer(transfer_id=transfer_id).failure.refunded_to == "suspense:USD"
    catch_up()
    return transfer_id
