"""What is counted where events become read models."""

from prometheus_client import Counter

BATCHES_PROJECTED = Counter("projections_batches", "Batches of the log committed by the projection.", ("projection",))
EVENTS_PROJECTED = Counter("projections_events", "Events of the log that the projection has seen.", ("projection",))
