"""What the bank tells Prometheus about itself, and the page that tells it."""

from collections.abc import Iterator, Mapping

from django.conf import settings
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import Permission
from projections.lag import ProjectionLag, projection_lags
from projections.runner import DATABASE_IS_AWAY
from projections.suspense import count_in_suspense, suspense_balances
from projections.verification.measures import VerificationMeasures, measure_verification
from transfers.in_flight import InFlight, measure_in_flight

HTTP_REQUEST_SECONDS = Histogram(
    "bank_http_request_duration_seconds",
    "Time to answer a request, by method, route and status.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class MetricsView(APIView):
    """What all processes of the bank have counted, and how the projections stand."""

    permission = Permission.VIEW_METRICS

    def get(self, request: Request) -> HttpResponse:
        """Answer 200 in the text format of Prometheus; what can be told without the database is told without it."""
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Standing())
    # Files of all processes if this is one that shares its metrics, else its own.
    if values.ValueClass is values.MutexValue:
        registry.register(REGISTRY)
    else:
        MultiProcessCollector(registry, path=str(settings.METRICS_DIR))
    return generate_latest(registry)


class _Standing(Collector):
    """What is true at this moment and is kept in the database: so it is asked, and right whoever answers."""

    def collect(self) -> Iterator[Metric]:
        try:
            lags = projection_lags()
            in_flight = measure_in_flight()
            suspended, balances = count_in_suspense(), suspense_balances()
            verification = measure_verification()
        except DATABASE_IS_AWAY:
            yield GaugeMetricFamily("bank_store_up", "1 if the event store answers.", value=0)
            return
        yield GaugeMetricFamily("bank_store_up", "1 if the event store answers.", value=1)
        yield GaugeMetricFamily("eventstore_head_position", "Position of the last event.", value=lags[0].head)
        yield from _transfer_families(in_flight)
        yield from _suspense_families(suspended, balances)
        yield from _projection_families(lags)
        yield from _verification_families(verification)


def _transfer_families(in_flight: InFlight) -> Iterator[Metric]:
    yield GaugeMetricFamily("transfers_in_flight", "Transfers whose money is on its way.", value=in_flight.transfers)
    yield GaugeMetricFamily("transfers_stuck", "Those of them that were given up and wait.", value=in_flight.stuck)
    yield GaugeMetricFamily(
        "transfers_oldest_in_flight_seconds", "Time since the oldest was begun.", value=in_flight.oldest_age_seconds
    )


def _suspense_families(suspended: int, balances: Mapping[str, int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("transfers_in_suspense", "Transfers whose refund waits to be released.", value=suspended)
    balance = GaugeMetricFamily("suspense_balance", "What stands in suspense, in minor units.", labels=["currency"])
    for currency, amount in balances.items():
        balance.add_metric([currency], amount)
    yield balance


def _verification_families(verification: VerificationMeasures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "verification_differences", "Differences that verifications have left.", value=verification.differences
    )
    if verification.age_seconds is not None:
        yield GaugeMetricFamily(
            "verification_age_seconds",
            "Time within which all that was there has been verified.",
            value=verification.age_seconds,
        )


def _projection_families(lags: list[ProjectionLag]) -> Iterator[Metric]:
    lag_events = GaugeMetricFamily(
        "projections_lag_events", "Events of the log that the projection has not seen.", labels=["projection"]
    )
    lag_seconds = GaugeMetricFamily(
        "projections_lag_seconds", "Age of the first event that the projection has not seen.", labels=["projection"]
    )
    heartbeat_age = GaugeMetricFamily(
        "projections_heartbeat_age_seconds", "Time since a worker last looked after it.", labels=["projection"]
    )
    parked = GaugeMetricFamily(
        "projections_parked_streams", "Streams that the projection cannot go on with.", labels=["projection"]
    )
    for lag in lags:
        lag_events.add_metric([lag.projection], lag.lag_events)
        lag_seconds.add_metric([lag.projection], lag.lag_seconds)
        parked.add_metric([lag.projection], lag.parked_streams)
        if lag.heartbeat_age_seconds is not None:
            heartbeat_age.add_metric([lag.projection], lag.heartbeat_age_seconds)
    yield from (lag_events, lag_seconds, heartbeat_age, parked)
