"""The append-only log of events; it knows nothing about banking."""
