-- Read a projection's position, and the age in ms of the first event after it (0 at the head of the log); locks nothing.
SELECT ARRAY[
    checkpoint.position,
    coalesce((
        SELECT ceil(greatest(extract(epoch FROM clock_timestamp() - recorded_at) * 1000, 0))::bigint
        FROM events
        WHERE events.position > checkpoint.position
        ORDER BY events.position
        LIMIT 1
    ), 0)
]
FROM (
    SELECT coalesce((SELECT position FROM projection_checkpoints WHERE projection = %s), 0) AS position
) AS checkpoint
