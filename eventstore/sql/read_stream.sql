-- Read the events of one stream after a version, in order; locks nothing.
SELECT position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text, occurred_at,
       recorded_at, hash
FROM events
WHERE stream_id = %(stream_id)s::text AND version > %(after_version)s::bigint
ORDER BY version
LIMIT %(limit)s::bigint
