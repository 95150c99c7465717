"""What operators do about transfers by commands, and how they learn that there is something to do."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.handlers import freeze_account
from accounts.repository import account_stream_id, load_account
from bank.metrics import exposition
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.runner import catch_up
from tests.factories import FreezeAccountFactory
from tests.integration.transfers.settlements import stopped_transfer, stuck_transfer, transfer_in_suspense
from tests.keyed_account_commands import OPEN, opened_with
from tests.transfer_books import fresh_id
from transfers.handlers import resume_transfer
from transfers.repository import transfer_stream_id


def called(*words: str) -> str:
    said = StringIO()
    call_command(*words, stdout=said)
    return said.getvalue()


def events_of(transfer_id: str) -> list[RecordedEvent]:
    return event_store().read_stream(transfer_stream_id(transfer_id), limit=100)


def metric(name: str) -> float:
    [line] = [line for line in exposition().decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split(" ")[1])


def test_a_stuck_transfer_is_retried():
    stopped, _, _ = stopped_transfer()
    with pytest.raises(CommandError, match="transfer_not_stuck"):
        called("retry_transfer", stopped, "too early")
    resume_transfer(transfer_id=stopped)
    stuck = stuck_transfer()
    assert called("retry_transfer", stuck, "mended") == "COMPLETED\n"
    retried = events_of(stuck)[3]
    assert (retried.event_type, retried.data["reason"]) == ("TransferRetried", "mended")
    assert retried.metadata["actor"]


def test_what_stands_in_suspense_is_released_once():
    transfer_id, frozen, other = transfer_in_suspense(), opened_with(0), opened_with(1)
    freeze_account(command=FreezeAccountFactory.build(account_id=frozen), context=OPEN)
    for account_id, code in (
        (frozen, "account_frozen"),
        (fresh_id("acc"), "account_not_found"),
        ("suspense:USD", "account_reserved"),
    ):
        with pytest.raises(CommandError, match=f"{transfer_id}: {code}"):
            called("release_suspense", transfer_id, account_id, "the owner's wish")
    assert called("release_suspense", transfer_id, other, "the owner's wish") == f"paid to {other}\n"
    assert load_account(other).state.balance == 601
    released = events_of(transfer_id)[-1]
    assert (released.event_type, released.data["reason"]) == ("TransferReleased", "the owner's wish")
    assert released.metadata["actor"]
    line = event_store().read_stream(account_stream_id(other), limit=100)[-1]
    assert (line.data["transferId"], line.data["counterparty"]) == (transfer_id, "suspense:USD")
    with pytest.raises(CommandError, match="nothing_in_suspense"):
        called("release_suspense", transfer_id, other, "again")
    assert load_account(other).state.balance == 601


@pytest.mark.parametrize("command", ["retry_transfer", "release_suspense"])
@pytest.mark.parametrize(
    ("transfer_id", "reason", "said"),
    [
        ("a b", "x", "1 to 64 characters"),
        ("trf-1", "", "blank"),
        ("trf-1", "a\nb", "control characters"),
        ("trf-1", "a\udcff", "UTF-8"),
        ("trf-1", "x" * 501, "at most 500"),
        ("trf-that-nobody-asked-for", "x", "transfer_not_found"),
    ],
)
def test_what_cannot_be_is_one_clear_line(command, transfer_id, reason, said):
    account = ["acc-1"] if command == "release_suspense" else []
    with pytest.raises(CommandError, match=said):
        called(command, transfer_id, *account, reason)


def test_what_waits_for_somebody_is_measured():
    other = opened_with(0)
    catch_up()
    before = [metric(name) for name in ("transfers_stuck", "transfers_in_suspense")]
    held = metric('suspense_balance{currency="USD"}') if before[1] else 0
    stuck, suspended = stuck_transfer(), transfer_in_suspense()
    assert [metric(name) for name in ("transfers_stuck", "transfers_in_suspense")] == [count + 1 for count in before]
    assert metric('suspense_balance{currency="USD"}') == held + 600
    called("retry_transfer", stuck, "mended")
    called("release_suspense", suspended, other, "the owner's wish")
    catch_up()
    assert [metric(name) for name in ("transfers_stuck", "transfers_in_suspense")] == before
    assert metric('suspense_balance{currency="USD"}') == held
