"""/health/ready and /metrics on a real database: dead, lagging and parked projections, and servers that are away."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from bank.metrics import exposition
from projections.engine import keep_alive
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from tests.factories import NewEventFactory
from tests.integration.projections.account_log import append, busy_account
from tests.integration.projections.test_runner import outage

SUMMARY = PROJECTORS[0].name


@pytest.fixture(autouse=True)
def looked_after() -> None:
    """Begin with projections that are at the head of the log, and that somebody looks after."""
    catch_up()
    keep_alive(projectors=PROJECTORS)


@pytest.fixture
def parked() -> Iterator[ProjectionFailure]:
    failure = ProjectionFailure.objects.create(
        projection=SUMMARY,
        stream_id="account-of-this-test",
        version=1,
        position=1,
        event_id=NewEventFactory.build().event_id,
        first_failed_at=timezone.now(),
        last_failed_at=timezone.now(),
    )
    yield failure
    failure.delete()


def asked() -> tuple[int, dict[str, Any]]:
    response = Client().get("/health/ready")
    return response.status_code, response.json()


def metric(name: str) -> float:
    """Return the metric of the accounts' projection, as Prometheus would read it."""
    [line] = [
        line for line in exposition().decode().splitlines() if line.startswith(f'{name}{{projection="{SUMMARY}"}}')
    ]
    return float(line.split()[-1])


def test_a_bank_that_works_is_ready():
    status, content = asked()
    assert (status, content["database"], content["broker"]) == (200, "ok", "ok")
    assert set(content["projections"]) == {projector.name for projector in PROJECTORS}
    assert content["projections"][SUMMARY]["lagEvents"] == 0
    assert content["projections"][SUMMARY]["ageSeconds"] == 0
    assert content["projections"][SUMMARY]["heartbeatAgeSeconds"] < django_settings.READY_MAX_AGE_SECONDS


def test_a_dead_worker_is_missed_although_nothing_happens():
    long_ago = timezone.now() - timedelta(seconds=django_settings.READY_MAX_AGE_SECONDS + 1)
    ProjectionCheckpoint.objects.filter(projection=SUMMARY).update(heartbeat_at=long_ago)
    status, content = asked()
    assert (status, content["code"]) == (503, "not_ready")
    stopped = content["projections"][SUMMARY]
    assert (stopped["status"], stopped["lagEvents"]) == ("stopped", 0)
    assert stopped["heartbeatAgeSeconds"] > django_settings.READY_MAX_AGE_SECONDS
    assert metric("projections_lag_events") == 0
    assert metric("projections_heartbeat_age_seconds") > django_settings.READY_MAX_AGE_SECONDS


def test_a_projection_that_nobody_ever_ran_is_not_ready_either():
    ProjectionCheckpoint.objects.filter(projection=SUMMARY).update(heartbeat_at=None)
    status, content = asked()
    assert (status, content["projections"][SUMMARY]["status"]) == (503, "stopped")
    assert content["projections"][SUMMARY]["heartbeatAgeSeconds"] is None


def test_lag_is_told_in_events_and_by_the_age_of_the_first(settings):
    settings.READY_MAX_LAG_EVENTS = 3
    append(busy_account(3))
    status, content = asked()
    assert (status, content["projections"][SUMMARY]["lagEvents"]) == (200, 3)
    age = content["projections"][SUMMARY]["ageSeconds"]
    append(busy_account(1))
    status, content = asked()
    assert (status, content["projections"][SUMMARY]["status"]) == (503, "lagging")
    assert content["projections"][SUMMARY]["lagEvents"] == metric("projections_lag_events") == 4
    assert age < content["projections"][SUMMARY]["ageSeconds"] < metric("projections_lag_seconds")
    catch_up()
    assert asked()[0] == 200


def test_a_parked_stream_degrades(parked):
    status, content = asked()
    assert (status, content["status"]) == (200, "degraded")
    assert content["projections"][SUMMARY]["parked"] == metric("projections_parked_streams") >= 1


def test_the_broker_away(settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    status, content = asked()
    assert (status, content["broker"], content["database"]) == (503, "away", "ok")


def test_the_database_away():
    with outage():
        status, content = asked()
        assert (status, content["database"], content["broker"]) == (503, "away", "ok")
        assert Client().get("/health/live").status_code == 200
        assert "\nbank_store_up 0.0\n" in exposition().decode()
    assert asked()[0] == 200
    assert "\nbank_store_up 1.0\n" in exposition().decode()
