"""What each tick does about the transfers that have stopped."""

import pytest
from django.conf import settings as bank_settings
from django.db import OperationalError

from eventstore.exceptions import StoreUnavailable
from transfers import tasks
from transfers.domain.events import TransferCompleted
from transfers.domain.exceptions import ImpossibleTransferEvent


@pytest.fixture
def resumed(monkeypatch) -> list[str]:
    """Let three transfers be due; what is resumed is listed, and the first of them cannot be taken up."""
    taken_up: list[str] = []

    def resume(*, transfer_id: str) -> None:
        taken_up.append(transfer_id)
        if transfer_id == "trf-1":
            raise ImpossibleTransferEvent(event=TransferCompleted(transfer_id=transfer_id), problem="it is NEW")

    monkeypatch.setattr(tasks, "due_transfers", lambda limit: ["trf-1", "trf-2", "trf-3"][:limit])
    monkeypatch.setattr(tasks, "take_up_transfer", resume)
    return taken_up


def test_beat_asks_for_the_task_and_each_message_expires_with_its_tick():
    entry = bank_settings.CELERY_BEAT_SCHEDULE["resume-transfers"]
    assert entry["task"] == tasks.resume_stopped_transfers.name
    assert entry["options"]["expires"] == entry["schedule"]


def test_one_that_cannot_be_taken_up_keeps_none_of_the_others_waiting(resumed, caplog):
    tasks.resume_due(slice_seconds=60)
    assert resumed == ["trf-1", "trf-2", "trf-3"]
    assert "trf-1 could not be taken up" in caplog.text


def test_those_whose_attempt_cannot_be_recorded_leave_room_for_others(resumed, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_TRANSFERS", 1)
    tasks.resume_due(slice_seconds=60)
    assert resumed == ["trf-1", "trf-2", "trf-3"]


def test_a_slice_that_is_over_begins_no_other_transfer(resumed):
    tasks.resume_due(slice_seconds=-1)
    assert resumed == []


@pytest.mark.parametrize("away", [StoreUnavailable("gone\naway"), OperationalError("gone\naway")])
def test_an_outage_is_one_line_and_waits_for_the_next_tick(monkeypatch, caplog, away):
    def fail(limit: int) -> list[str]:
        raise away

    monkeypatch.setattr(tasks, "due_transfers", fail)
    tasks.resume_stopped_transfers()
    assert caplog.messages == ["stopped transfers wait for the database: gone away"]
