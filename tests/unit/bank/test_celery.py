"""How the tasks are queued: what keeps the read models fresh waits for nothing else, and nothing waits in vain."""

from typing import Any

import pytest
from celery import Celery
from django.conf import settings

# As the bank's own application; that, once imported, would have this process share its metrics.
app = Celery("tests", set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
OWN = ("bank", "eventstore", "accounts", "transfers", "projections")


def own_tasks() -> dict[str, Any]:
    app.loader.import_default_modules()
    return {name: task for name, task in app.tasks.items() if name.split(".")[0] in OWN}


def queue_of(name: str) -> str:
    return str(app.amqp.router.route({}, name)["queue"].name)


def test_projections_have_a_queue_of_their_own():
    assert {name for name in own_tasks() if queue_of(name) == "projections"} == {"projections.advance"}
    assert {queue_of(name) for name in own_tasks()} == {"projections", "jobs"}


def test_messages_are_acknowledged_early_and_leave_no_results():
    for task in own_tasks().values():
        assert not task.acks_late
        assert task.ignore_result


@pytest.mark.parametrize("entry", settings.CELERY_BEAT_SCHEDULE.values(), ids=lambda entry: entry["task"])
def test_a_tick_expires_when_the_next_one_comes(entry):
    assert entry["task"] in own_tasks()
    assert entry["options"]["expires"] <= entry["schedule"]
    # Every task finds its work in the database.
    assert "args" not in entry
    assert "kwargs" not in entry
