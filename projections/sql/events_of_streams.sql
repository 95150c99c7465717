-- Read events stream by stream, after a version of a stream, of streams before another, up to a position; locks nothing.
SELECT position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text, occurred_at,
       recorded_at, hash
FROM events
WHERE (stream_id, version) > (%(stream_id)s, %(version)s::bigint)
  AND stream_id < %(before)s
  AND position <= %(until_position)s::bigint
ORDER BY stream_id, version
LIMIT %(limit)s::bigint
