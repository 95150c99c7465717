-- Read the events of the streams in a range of ids, stream by stream and in order; times that no calendar of Python has
-- come as one that no event has. Locks nothing.
SELECT position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text,
       CASE WHEN occurred_at NOT BETWEEN '0002-01-01Z' AND '9998-12-31Z' THEN '9999-01-01Z' ELSE occurred_at END,
       CASE WHEN recorded_at NOT BETWEEN '0002-01-01Z' AND '9998-12-31Z' THEN '9999-01-01Z' ELSE recorded_at END,
       hash
FROM events
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id, version
