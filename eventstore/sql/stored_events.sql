-- Read where given versions of streams stand in the log, and their links, those that there are; locks nothing.
SELECT stored.stream_id, stored.version, stored.position, stored.occurred_at, stored.recorded_at, stored.hash
FROM unnest(%(stream_ids)b::text[], %(versions)b::bigint[]) WITH ORDINALITY AS wanted (stream_id, version, ordinal)
CROSS JOIN LATERAL (
    SELECT e.stream_id, e.version, e.position, e.occurred_at, e.recorded_at, e.hash
    FROM events AS e
    WHERE e.stream_id = wanted.stream_id AND e.version = wanted.version
    LIMIT 1
) AS stored
ORDER BY wanted.ordinal
