"""Verifications of streams that a projection has put aside."""

import pytest
from django.db import OperationalError

from projections.models import AccountStatement, AccountSummary, ProjectionFailure
from projections.projectors.account_statement import AccountStatementProjector
from projections.projectors.account_summary import AccountSummaryProjector
from projections.runner import catch_up
from projections.streams import rebuild_stream, retry_stream
from projections.verification import repair, run
from tests.integration.projections.account_log import created, deposited, new_account_id, record
from tests.integration.projections.own_database import assert_nothing_differs, verify
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database

WAITS_AT = 4


@pytest.fixture
def defect(monkeypatch) -> pytest.MonkeyPatch:
    """Let the statement's projector stumble over the fourth event of every stream, until the patch is undone."""
    sound = AccountStatementProjector.apply

    def stumble(self, *, state, event):
        if event.version == WAITS_AT:
            raise LookupError("a defect")
        return sound(self, state=state, event=event)

    monkeypatch.setattr(AccountStatementProjector, "apply", stumble)
    return monkeypatch


def account_of_six_events() -> str:
    account_id = new_account_id()
    record(created(account_id), *[deposited(account_id, amount) for amount in (10, 20, 30, 40, 50)])
    catch_up()
    return account_id


def test_rows_before_the_event_at_which_a_stream_waits_are_compared(defect):
    account_id = account_of_six_events()
    verified = verify()
    assert_nothing_differs(verified)
    assert f"parked: account-{account_id}: account_statement waits at version {WAITS_AT}\n" in verified.out
    assert verified.out.endswith("; 1 parked stream\n")

    AccountStatement.objects.filter(account_id=account_id, stream_version=2).update(amount=11)
    verified = verify()
    assert verified.exit_code == 1
    assert ["amount: expected 10, is 11" in line for line in verified.differences] == [True]
    AccountStatement.objects.filter(account_id=account_id, stream_version=2).update(amount=10)
    assert_nothing_differs(verify())

    AccountStatement.objects.filter(account_id=account_id, stream_version=3).delete()
    assert ["missing" in line for line in verify().differences] == [True]
    assert verify("--repair").exit_code == 0
    assert_nothing_differs(verify())


def test_rows_that_a_retry_has_come_further_with_are_right(defect, settings):
    """It goes on batch by batch, and the stream stays parked at the event of before until it is done."""
    account_id = account_of_six_events()
    defect.undo()
    settings.PROJECTION_BATCH_EVENTS = 1
    retry_stream(projector=AccountStatementProjector(), stream_id=f"account-{account_id}", until=0)
    assert ProjectionFailure.objects.get().version == WAITS_AT
    assert AccountStatement.objects.filter(account_id=account_id).count() == WAITS_AT
    assert_nothing_differs(verify())

    AccountStatement.objects.filter(account_id=account_id, stream_version=WAITS_AT).update(amount=1)
    assert verify().exit_code == 1


def test_rows_of_a_stream_that_is_being_made_anew_are_not_compared_and_it_says_so(defect):
    account_id = account_of_six_events()
    AccountStatement.objects.filter(account_id=account_id, stream_version=2).update(amount=11)
    ProjectionFailure.objects.update(rows_are_suspect=True)
    verified = verify()
    assert_nothing_differs(verified)
    assert f"parked: account-{account_id}: account_statement is being made anew, not compared\n" in verified.out
    assert verified.out.endswith("; 1 parked stream, 1 of them not compared\n")
    AccountSummary.objects.filter(account_id=account_id).update(balance=0)
    assert verify().exit_code == 1


def test_what_a_repair_could_only_park_is_not_mended(request):
    account_id = account_of_six_events()
    damaged = AccountStatement.objects.filter(account_id=account_id)
    damaged.filter(stream_version=6).update(amount=51)
    AccountSummary.objects.filter(account_id=account_id).update(balance=0)
    defect = request.getfixturevalue("defect")
    verified = verify("--repair")
    assert verified.exit_code == 1
    not_mended = f"not mended: account-{account_id}: account_statement could not be made anew, and is parked: "
    assert f"{not_mended}LookupError: a defect" in verified.err
    assert f"parked: account-{account_id}: account_statement waits at version {WAITS_AT}\n" in verified.out
    # The balance of the other read model is.
    found = len(verified.differences)
    assert f"{found} differences (read_model {found}), 1 of them mended; 1 parked stream\n" in verified.out
    assert f"{found - 1} difference" in verified.err
    assert AccountSummary.objects.get(account_id=account_id).balance == 150
    assert damaged.count() == WAITS_AT - 1

    defect.undo()
    retry_stream(projector=AccountStatementProjector(), stream_id=f"account-{account_id}")
    assert damaged.count() == 6
    assert_nothing_differs(verify())


def test_a_repair_of_a_stream_that_waited_before_mends_what_it_had_come_to(defect):
    account_id = account_of_six_events()
    AccountStatement.objects.filter(account_id=account_id, stream_version=2).update(amount=11)
    verified = verify("--repair")
    assert (verified.exit_code, verified.err) == (0, "")
    assert "1 difference (read_model 1), 1 of them mended; 1 parked stream\n" in verified.out
    assert ProjectionFailure.objects.get().version == WAITS_AT
    assert_nothing_differs(verify())


def test_what_was_parked_before_a_repair_was_broken_off_is_not_mended(request):
    account_id = account_of_six_events()
    AccountSummary.objects.filter(account_id=account_id).update(balance=0)
    defect = request.getfixturevalue("defect")
    rebuild = rebuild_stream

    def rebuild_one(*, projector, stream_id):
        if projector.name != AccountStatementProjector.name:
            raise OperationalError("others have it in hand")
        return rebuild(projector=projector, stream_id=stream_id)

    defect.setattr(repair, "rebuild_stream", rebuild_one)
    defect.setattr(run, "mend", in_this_order(AccountStatementProjector(), AccountSummaryProjector()))
    verified = verify("--repair")
    assert verified.exit_code == 1
    assert "not now: others have it in hand" in verified.err
    assert "account_statement could not be made anew, and is parked: see the parked streams" in verified.err
    assert "mended" not in verified.out


def in_this_order(*projectors):
    return lambda *, findings, **_: repair.mend(findings=findings, projectors=projectors)
