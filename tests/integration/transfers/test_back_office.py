"""Transfers as the read model keeps them and as staff see them; what operations can do about one, and nobody else."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from accounts.domain.access import EVERY_ACCOUNT
from accounts.repository import load_account
from eventstore.store import event_store
from projections.engine import advance
from projections.models import ProjectionFailure, TransferStatus
from projections.projectors.transfer_status import TransferStatusProjector
from projections.runner import catch_up
from projections.streams import rebuild_stream
from projections.transfer_reads import read_transfer
from tests.integration.transfers.settlements import stuck_transfer, transfer_in_suspense
from tests.keyed_account_commands import opened_with
from tests.transfer_books import transfer, transfer_id_of
from transfers.handlers import resume_transfer
from transfers.repository import load_transfer, transfer_stream_id


@pytest.fixture(autouse=True)
def apart(settings) -> None:
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0


def browser_of(role: str) -> Client:
    user = User.objects.create_user(username=f"{role}-{uuid4()}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return browser


def page(transfer_id: str) -> str:
    return reverse("admin:projections_transferstatus_change", args=(transfer_id,))


def test_the_read_model_follows_every_step_of_a_transfer(settings):
    transfer_id = stuck_transfer()
    row = TransferStatus.objects.get(transfer_id=transfer_id)
    assert (row.state, row.attempts, row.version) == ("STUCK", 0, 3)
    assert row.error == "the last attempt did not come to an end"
    in_suspense = TransferStatus.objects.get(transfer_id=transfer_in_suspense())
    assert (in_suspense.state, in_suspense.failure_code) == ("FAILED", "account_frozen")
    assert (in_suspense.refunded_to, in_suspense.released_to) == ("suspense:USD", None)
    # What was folded in several batches is what is folded in one.
    for one in (row, in_suspense):
        assert (
            rebuild_stream(projector=TransferStatusProjector(), stream_id=transfer_stream_id(one.transfer_id)).error
            is None
        )
        again = TransferStatus.objects.get(transfer_id=one.transfer_id)
        assert {name: getattr(again, name) for name in columns()} == {name: getattr(one, name) for name in columns()}


@pytest.mark.parametrize("steps", ["together", "apart"])
def test_a_batch_of_the_log_may_end_inside_a_commit(settings, steps):
    settings.TRANSFER_STEPS, settings.PROJECTION_BATCH_EVENTS = steps, 1
    source, destination = opened_with(600), opened_with(0)
    catch_up()
    done, failed = (transfer_id_of(transfer(source, destination, amount)) for amount in (600, 1))
    seen: dict[str, list[str]] = {done: [], failed: []}
    store, projector = event_store(), TransferStatusProjector()
    while advance(projector=projector, store=store).events:
        for transfer_id, states in seen.items():
            rows = TransferStatus.objects.filter(transfer_id=transfer_id)
            states += [row.state for row in rows if row.state not in states]
            # What a reader is shown is the whole of a commit, or what the log says.
            shown, _ = read_transfer(transfer_id=transfer_id, reach=EVERY_ACCOUNT, min_version=0)
            assert shown["state"] in ("PENDING", "COMPLETED", "FAILED")
    assert seen[done] == ["INITIATED", *(["PENDING"] if steps == "apart" else []), "COMPLETED"]
    assert seen[failed] == ["INITIATED", "FAILED"]
    assert not ProjectionFailure.objects.filter(stream_id__in=map(transfer_stream_id, seen)).exists()


def columns() -> list[str]:
    return [field.name for field in TransferStatus._meta.fields]


@pytest.mark.parametrize(
    "change", [{"state": "COMPLETED"}, {"failure_code": None}, {"amount": 0}, {"state": "NEW"}, {"version": 0}]
)
def test_the_database_refuses_rows_that_cannot_be(change):
    transfer_id = transfer_in_suspense()
    with pytest.raises(IntegrityError):
        TransferStatus.objects.filter(transfer_id=transfer_id).update(**change)


def test_the_timeline_is_the_log(settings):
    transfer_id = stuck_transfer()
    shown = browser_of("auditor").get(page(transfer_id)).content.decode()
    for event_type in ("TransferInitiated", "TransferDebited", "TransferStuck"):
        assert f"<td>{event_type}</td>" in shown
    assert "USD 6.00" in shown
    assert "left out" not in shown
    assert "retry" not in shown.lower()


def test_of_a_long_timeline_the_last_events_are_shown(monkeypatch):
    monkeypatch.setattr("projections.transfer_admin.MAX_TIMELINE_EVENTS", 2)
    shown = browser_of("auditor").get(page(stuck_transfer())).content.decode()
    assert "<td>TransferInitiated</td>" not in shown
    assert "Earlier events that are left out: 1." in shown
    assert shown.index("<td>TransferDebited</td>") < shown.index("<td>TransferStuck</td>")


def test_operations_retry_a_stuck_transfer_with_a_reason(settings):
    transfer_id, operations = stuck_transfer(), browser_of("operations")
    address = reverse("admin:retry_transfer", args=(transfer_id,))
    assert address in operations.get(page(transfer_id)).content.decode()
    for reason in ("", "  ", "a\u0007b", "a\x00b", "x" * 501):
        said = operations.post(address, {"reason": reason}, follow=True).content.decode()
        assert "Nothing was done. reason: " in said
    assert load_transfer(transfer_id).state.state == "STUCK"

    assert operations.post(address, {"reason": "the shard is back"}).status_code == 302
    retried = event_store().read_stream(transfer_stream_id(transfer_id), limit=100)[-1]
    assert (retried.event_type, retried.data["reason"]) == ("TransferRetried", "the shard is back")
    assert retried.metadata["actor"].startswith("operations-")
    assert resume_transfer(transfer_id=transfer_id).state == "COMPLETED"
    assert "Refused: transfer_not_stuck" in operations.post(address, {"reason": "again"}, follow=True).content.decode()


def test_operations_pay_out_what_stands_in_suspense(settings):
    transfer_id, operations, other = transfer_in_suspense(), browser_of("operations"), opened_with(1)
    address = reverse("admin:release_suspense", args=(transfer_id,))
    assert address in operations.get(page(transfer_id)).content.decode()
    for account_id, answer in (
        ("suspense:USD", "Refused: account_reserved."),
        (f"acc-{uuid4()}", "Refused: account_not_found."),
        ("a b", "Nothing was done. account_id: "),
    ):
        content = {"account_id": account_id, "reason": "try"}
        assert answer in operations.post(address, content, follow=True).content.decode()
    assert operations.post(address, {"account_id": other, "reason": "the owner's wish"}).status_code == 302
    assert load_account(other).state.balance == 601
    released = event_store().read_stream(transfer_stream_id(transfer_id), limit=100)[-1]
    assert (released.event_type, released.data["reason"]) == ("TransferReleased", "the owner's wish")
    catch_up()
    assert TransferStatus.objects.get(transfer_id=transfer_id).released_to == other
    operations.post(address, {"account_id": other, "reason": "again"})
    assert load_account(other).state.balance == 601


def test_operations_find_what_stands_in_suspense():
    transfer_id, released, operations = transfer_in_suspense(), transfer_in_suspense(), browser_of("operations")
    content = {"account_id": opened_with(0), "reason": "the owner's wish"}
    operations.post(reverse("admin:release_suspense", args=(released,)), content)
    catch_up()

    def listed(**query: str) -> list[str]:
        page = operations.get(reverse("admin:projections_transferstatus_changelist"), query).content.decode()
        return [one for one in (transfer_id, released) if one in page]

    assert listed(suspense="waiting") == [transfer_id]
    assert listed(suspense="released") == [released]
    assert listed() == [transfer_id, released]
    statement = reverse("admin:projections_accountstatement_changelist")
    lines = operations.get(statement, {"account_id": "suspense:USD"}).content.decode()
    for one in (transfer_id, released):
        assert f'<a href="{page(one)}">{one}</a>' in lines


@pytest.mark.parametrize("role", ["teller", "auditor", "client"])
@pytest.mark.parametrize("act", ["retry_transfer", "release_suspense"])
def test_nobody_else_does(settings, role, act):
    transfer_id = stuck_transfer()
    before = load_transfer(transfer_id)
    content = {"reason": "mine", "account_id": opened_with(0)}
    assert browser_of(role).post(reverse(f"admin:{act}", args=(transfer_id,)), content).status_code == 403
    assert load_transfer(transfer_id) == before
    assert browser_of("operations").get(reverse(f"admin:{act}", args=(transfer_id,))).status_code == 405
