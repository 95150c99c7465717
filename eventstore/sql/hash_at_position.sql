-- Read the hash of the event at a position; locks nothing.
SELECT hash
FROM events
WHERE position = %(position)s::bigint
