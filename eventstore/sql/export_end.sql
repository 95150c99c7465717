-- Read the position of the last committed event, 0 in an empty log, and the time; locks nothing.
SELECT coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0), clock_timestamp()
