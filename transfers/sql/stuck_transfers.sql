-- Read the streams of transfers that were given up and wait for an operator; locks nothing.
SELECT stream_id
FROM transfers_in_flight
WHERE resume_at IS NULL
ORDER BY stream_id
