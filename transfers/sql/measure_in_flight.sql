-- Count the transfers whose money is in flight and those of them that were given up, and read how many seconds ago the
-- oldest was begun, by one index probe each; locks nothing.
SELECT count(*), count(*) FILTER (WHERE t.resume_at IS NULL),
       coalesce(extract(epoch FROM statement_timestamp() - min(begun.recorded_at)), 0)::double precision
FROM transfers_in_flight AS t
CROSS JOIN LATERAL (
    SELECT e.recorded_at FROM events AS e WHERE e.stream_id = t.stream_id AND e.version = 1 LIMIT 1
) AS begun
