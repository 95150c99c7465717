-- Read how far the streams in a range of ids were found sound before, in the order of their ids; locks nothing.
SELECT stream_id, version, hash, seal
FROM verified_streams
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id
