-- Look for holes among the next positions of the log: how many events there are, the last of them, and the positions before
-- and after each hole, at most 100 of them. Locks nothing.
SELECT count(*), max(position),
       (array_agg(previous ORDER BY position) FILTER (WHERE position <> previous + 1))[:100],
       (array_agg(position ORDER BY position) FILTER (WHERE position <> previous + 1))[:100]
FROM (
    SELECT position, lag(position, 1, %(after_position)s::bigint) OVER (ORDER BY position) AS previous
    FROM (
        SELECT position
        FROM events
        WHERE position > %(after_position)s::bigint AND position <= %(head)s::bigint
        ORDER BY position
        LIMIT %(limit)s::bigint
    ) AS page
) AS neighbours
