-- Read the verdicts under given keys, those that there are; locks nothing.
SELECT stored.scope, stored.key, stored.fingerprint, stored.refused, stored.result, stored.first_position,
       stored.last_position, stored.recorded_at
FROM unnest(%(scopes)b::text[], %(keys)b::text[]) WITH ORDINALITY AS wanted (scope, key, ordinal)
CROSS JOIN LATERAL (
    SELECT c.scope, c.key, c.fingerprint, c.refused, c.result, c.first_position, c.last_position, c.recorded_at
    FROM commands AS c
    WHERE c.scope = wanted.scope AND c.key = wanted.key
    LIMIT 1
) AS stored
ORDER BY wanted.ordinal
