"""A verification of what is derived from the log: whatever differs is found, and mended from the log alone."""

from uuid import uuid4

import pytest

from projections.models import AccountStatement, AccountSummary, ProjectionFailure, TransferStatus
from projections.runner import catch_up
from tests.integration.projections.account_log import (
    created,
    new_account_id,
    record,
    withdrawn,
)
from tests.integration.projections.damage import DAMAGED_ROWS, TAMPERING
from tests.integration.projections.own_database import account_id as account_id
from tests.integration.projections.own_database import as_superuser, assert_found, assert_nothing_differs, verify
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database
from tests.integration.projections.own_database import run as sql
from tests.integration.projections.own_database import stream_id as stream_id
from tests.integration.transfers.settlements import no_settlements
from tests.keyed_account_commands import opened_with
from tests.transfer_books import transfer, transfer_id_of


@pytest.mark.parametrize("statement", DAMAGED_ROWS.values(), ids=DAMAGED_ROWS)
def test_what_is_derived_is_compared_and_mended(account_id, statement):
    before = derived()
    sql(statement, {"a": account_id})
    found = verify()
    assert found.exit_code == 1
    assert found.checks <= {"read_model", "snapshot", "in_flight"}
    assert len(found.checks) == 1

    mended = verify("--repair")
    assert (mended.exit_code, mended.err) == (0, "")
    assert set(mended.differences) == set(found.differences)
    assert "of them mended" in mended.out
    assert_nothing_differs(verify())
    assert derived() == before or found.checks == {"snapshot"}


def derived() -> list[list[tuple]]:
    return [
        list(model.objects.order_by("pk").values_list()) for model in (AccountSummary, AccountStatement, TransferStatus)
    ]


def test_a_transfer_in_flight_that_is_not_listed_is_listed_again(settings):
    settings.TRANSFER_STEPS = "apart"
    with no_settlements():
        transfer_id = transfer_id_of(transfer(opened_with(1000), opened_with(0), 600))
    catch_up()
    [listed] = sql("SELECT stream_id, resume_at FROM transfers_in_flight")
    for damage in ("DELETE FROM transfers_in_flight", "UPDATE transfers_in_flight SET resume_at = NULL"):
        sql(damage)
        assert_found("in_flight", transfer_id)
        assert verify("--repair").exit_code == 0
        assert sql("SELECT stream_id, resume_at FROM transfers_in_flight") == [listed]


def test_rows_of_a_parked_stream_that_nobody_parked_any_more():
    account_id = new_account_id()
    record(created(account_id), withdrawn(account_id, 5))
    catch_up()
    ProjectionFailure.objects.all().delete()
    assert_found("read_model", account_id, "an event that can be projected, or a parked stream")


def test_rows_made_of_a_damaged_log_are_left_alone(account_id, stream_id):
    """They may be all that tells what the log said."""
    as_superuser(TAMPERING["amount"], {"s": stream_id})
    verified = verify("--repair")
    assert verified.exit_code == 1
    assert verified.checks == {"chain", "read_model", "snapshot", "books"} - {"books"}
    assert f"not mended: {stream_id}: its log is damaged" in verified.err
    assert AccountSummary.objects.get(account_id=account_id).balance == 1300


def test_the_applications_role_mends_read_models_and_says_what_it_may_not(account_id, stream_id):
    role = f"app_{uuid4().hex}"
    sql(f"CREATE ROLE {role}")
    try:
        for grant in grants(role):
            sql(grant)
        sql("UPDATE account_summary SET balance = 0")
        sql("UPDATE snapshots SET hash = sha256('')")
        sql(f"SET ROLE {role}")
        verified = verify("--repair")
    finally:
        sql("RESET ROLE")
        sql(f"DROP OWNED BY {role}")
        sql(f"DROP ROLE {role}")
    assert verified.exit_code == 1
    assert f"not mended: {stream_id}: this role may not: permission denied for table snapshots" in verified.err
    assert AccountSummary.objects.get(account_id=account_id).balance == 1300
    assert verify("--repair").exit_code == 0
    assert_nothing_differs(verify())


def grants(role: str) -> list:
    from bank.migration_guards import _grants

    return [grant.as_string(None) for grant in _grants(role)]
