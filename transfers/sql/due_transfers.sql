-- Read the streams of transfers that have stopped and may be taken up, longest due first; locks nothing.
SELECT stream_id
FROM transfers_in_flight
WHERE resume_at <= statement_timestamp()
ORDER BY resume_at, stream_id
LIMIT %(limit)s::bigint
