-- Count the transfers whose money is in flight, and those of them that were given up; locks nothing.
SELECT count(*), count(*) FILTER (WHERE resume_at IS NULL)
FROM transfers_in_flight
