-- Read the events of the log after a position, in order; locks nothing, and misses nothing: see append_events.
SELECT position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at, recorded_at, hash
FROM events
WHERE position > %(after_position)s::bigint
ORDER BY position
LIMIT %(limit)s::bigint
