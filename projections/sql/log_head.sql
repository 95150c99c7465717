-- Read the position of the last event that this transaction sees, 0 in an empty log; locks nothing.
SELECT coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0)
