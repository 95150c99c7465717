-- Read which streams in a range of ids are parked, in the order of their ids, and whether their rows are to be made
-- anew; locks nothing.
SELECT stream_id, projection, version, rows_are_suspect
FROM projection_failures
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id, projection
