-- Read when this transaction began, and the position of the last event that it sees, 0 in an empty log; locks nothing.
SELECT transaction_timestamp(), coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0)
