-- Read events of the log after a position, in order; locks nothing, and misses nothing: see append_events.
SELECT position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text, occurred_at,
       recorded_at, hash
FROM events
WHERE position > %(after_position)s::bigint
  AND position <= %(up_to_position)s::bigint
  AND starts_with(stream_id, %(stream_prefix)s::text)
ORDER BY position
LIMIT %(limit)s::bigint
