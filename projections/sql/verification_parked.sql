-- Read which streams in a range of ids are parked, in the order of their ids; locks nothing.
SELECT stream_id, projection, version
FROM projection_failures
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id, projection
