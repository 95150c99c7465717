-- Read what knows of positions after the last event of the log, as of one moment: commands, checkpoints, and the latest
-- verification. Locks nothing.
WITH head (position) AS (SELECT coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0))
(
    SELECT 'commands', c.scope || ' ' || c.key, c.last_position, head.position
    FROM commands AS c
    CROSS JOIN head
    WHERE c.last_position > head.position
    ORDER BY c.last_position
    LIMIT %(limit)s::bigint
)
UNION ALL
SELECT 'projection_checkpoints', p.projection, p.position, head.position
FROM projection_checkpoints AS p
CROSS JOIN head
WHERE p.position > head.position
UNION ALL
SELECT 'verification_cycle', '', v.highest_head, head.position
FROM verification_cycle AS v
CROSS JOIN head
WHERE v.highest_head > head.position
ORDER BY 1, 3
