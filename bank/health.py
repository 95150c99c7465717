"""Whether the bank can serve: asked often, by machines, without a token."""

from collections.abc import Mapping
from typing import Any, Literal

import django.db
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

from bank.problems import Problem, problem_of, problem_response
from eventstore.exceptions import StoreUnavailable
from projections.lag import ProjectionLag, projection_lags
from projections.verification.measures import VerificationMeasures, measure_verification

BROKER_TIMEOUT_SECONDS = 0.4
"""For connecting and for answering each: an outage is told within a second."""

NEVER_KEPT = {"Cache-Control": "no-store"}


def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers, 503 if not: an outage is an answer here, and no error to log."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except django.db.Error as error:
        return problem_response(problem=problem_of(error), request=request)
    return JsonResponse({"status": "ok", "store": settings.EVENT_STORE_KIND, "database": "ok"})


def live(request: HttpRequest) -> HttpResponse:
    """Answer 200, from memory alone: a process that does not is to be replaced."""
    return JsonResponse({"status": "ok"}, headers=NEVER_KEPT)


def ready(request: HttpRequest) -> HttpResponse:
    """Answer whether everything works and, check by check, what does not.

    200 `ok`; 200 `degraded` while a stream is parked, or something differs that a verification has found; 503 while the
    database or the broker is away, a projection is too far behind the log, or nobody advances it.
    """
    checks: dict[str, Any] = {"database": "ok", "broker": _broker(), "projections": {}}
    try:
        lags = projection_lags()
        verification = measure_verification()
    except (django.db.Error, StoreUnavailable):
        return _not_ready(request, checks | {"database": "away"})
    checks["projections"] = {lag.projection: {"status": lag.status, **_details(lag)} for lag in lags}
    checks["verification"] = _verified(verification)
    statuses = {lag.status for lag in lags}
    if checks["broker"] == "away" or not statuses <= {"ok", "parked"}:
        return _not_ready(request, checks)
    status = "degraded" if "parked" in statuses or verification.differences else "ok"
    return JsonResponse({"status": status, **checks}, headers=NEVER_KEPT)


def _not_ready(request: HttpRequest, checks: Mapping[str, Any]) -> HttpResponse:
    return problem_response(problem=Problem(code="not_ready", fields=checks, headers=NEVER_KEPT), request=request)


def _broker() -> Literal["ok", "away", "not_applicable"]:
    if settings.IN_MEMORY:
        return "not_applicable"
    try:
        with redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_connect_timeout=BROKER_TIMEOUT_SECONDS,
            socket_timeout=BROKER_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as broker:
            broker.ping()
    except redis.RedisError:
        return "away"
    return "ok"


def _verified(verification: VerificationMeasures) -> dict[str, Any]:
    age = verification.age_seconds
    return {
        "status": "differs" if verification.differences else "not_applicable" if settings.IN_MEMORY else "ok",
        "differences": verification.differences,
        "ageSeconds": None if age is None else round(age, 3),
    }


def _details(lag: ProjectionLag) -> dict[str, Any]:
    heartbeat_age = lag.heartbeat_age_seconds
    return {
        "lagEvents": lag.lag_events,
        "ageSeconds": round(lag.lag_seconds, 3),
        "heartbeatAgeSeconds": None if heartbeat_age is None else round(heartbeat_age, 3),
        "parked": lag.parked_streams,
    }
