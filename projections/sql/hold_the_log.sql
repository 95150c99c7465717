-- Wait until nobody appends, and keep everybody from it until this transaction ends; takes the log's lock: see append_events.
SELECT pg_advisory_xact_lock(4711001)
