-- Read the snapshots of the streams in a range of ids, of all shapes, in the order of the ids; locks nothing.
SELECT stream_id, schema_version, version, state::text, hash,
       CASE WHEN occurred_at NOT BETWEEN '0002-01-01Z' AND '9998-12-31Z' THEN '9999-01-01Z' ELSE occurred_at END
FROM snapshots
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id, schema_version
