"""What /health/live and /health/ready say, given how the parts of the bank stand."""

from dataclasses import replace
from typing import Any

import django.db
import orjson
import pytest
from django.test import RequestFactory

from bank import health
from eventstore.exceptions import StoreUnavailable
from projections.lag import ProjectionLag
from projections.verification.measures import VerificationMeasures

WELL = ProjectionLag(
    projection="account_summary",
    position=90,
    head=100,
    lag_events=10,
    lag_seconds=2.0,
    heartbeat_age_seconds=2.0,
    parked_streams=0,
)
VERIFIED = VerificationMeasures(differences=0, age_seconds=42.1239)


@pytest.fixture(autouse=True)
def thresholds(settings, monkeypatch):
    settings.READY_MAX_LAG_EVENTS = 1_000
    settings.READY_MAX_AGE_SECONDS = 30.0
    monkeypatch.setattr(health, "_broker", lambda: "ok")
    monkeypatch.setattr(health, "measure_verification", lambda: VERIFIED)


def asked(monkeypatch, *lags: ProjectionLag) -> tuple[int, dict[str, Any]]:
    """Return status and content of /health/ready with projections that stand like this."""
    monkeypatch.setattr(health, "projection_lags", lambda: list(lags))
    response = health.ready(RequestFactory().get("/health/ready", HTTP_X_REQUEST_ID="req-1"))
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, orjson.loads(response.content)


def test_all_well(monkeypatch):
    assert asked(monkeypatch, WELL) == (
        200,
        {
            "status": "ok",
            "database": "ok",
            "broker": "ok",
            "projections": {
                "account_summary": {
                    "status": "ok",
                    "lagEvents": 10,
                    "ageSeconds": 2.0,
                    "heartbeatAgeSeconds": 2.0,
                    "parked": 0,
                }
            },
            "verification": {"status": "ok", "differences": 0, "ageSeconds": 42.124},
        },
    )


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"lag_events": 1_001}, "lagging"),
        ({"lag_seconds": 30.1}, "lagging"),
        ({"lag_events": 0, "lag_seconds": 0.0, "heartbeat_age_seconds": 30.1}, "stopped"),
        ({"lag_events": 0, "lag_seconds": 0.0, "heartbeat_age_seconds": None}, "stopped"),
        ({"lag_events": 1_001, "parked_streams": 1}, "lagging"),
    ],
)
def test_one_projection_that_does_not_work_is_enough(monkeypatch, facts, verdict):
    ill = replace(WELL, projection="account_statement", **facts)
    status, content = asked(monkeypatch, WELL, ill)
    assert (status, content["code"]) == (503, "not_ready")
    assert content["projections"]["account_summary"]["status"] == "ok"
    assert content["projections"]["account_statement"]["status"] == verdict


def test_a_parked_stream_degrades_and_no_more(monkeypatch):
    status, content = asked(monkeypatch, WELL, replace(WELL, projection="account_statement", parked_streams=2))
    assert (status, content["status"]) == (200, "degraded")
    assert content["projections"]["account_statement"]["parked"] == 2


def test_at_the_thresholds_all_is_well(monkeypatch):
    status, content = asked(monkeypatch, replace(WELL, lag_events=1_000, lag_seconds=30.0, heartbeat_age_seconds=30.0))
    assert (status, content["status"]) == (200, "ok")


def test_without_its_broker_the_bank_is_not_ready(monkeypatch):
    monkeypatch.setattr(health, "_broker", lambda: "away")
    status, content = asked(monkeypatch, WELL)
    assert (status, content["code"], content["broker"], content["database"]) == (503, "not_ready", "away", "ok")


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), django.db.OperationalError("gone")])
def test_without_its_database_neither(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(health, "projection_lags", fail)
    response = health.ready(RequestFactory().get("/health/ready", HTTP_X_REQUEST_ID="req-1"))
    content = orjson.loads(response.content)
    assert (response.status_code, content["database"], content["projections"]) == (503, "away", {})


def test_a_process_that_answers_lives_whatever_is_away(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(health, "projection_lags", None)
    monkeypatch.setattr(health, "connection", None)
    response = health.live(RequestFactory().get("/health/live"))
    assert (response.status_code, orjson.loads(response.content)) == (200, {"status": "ok"})
