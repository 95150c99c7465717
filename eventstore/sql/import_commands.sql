-- Write verdicts of another log, under keys that were not used; the owner alone may. Returns a row for each.
INSERT INTO commands (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
SELECT g.scope, g.key, g.fingerprint, g.refused, g.result::jsonb, g.first_position, g.last_position, g.recorded_at
FROM unnest(
    %(scopes)b::text[], %(keys)b::text[], %(fingerprints)b::text[], %(refusals)b::boolean[], %(results)b::text[],
    %(first_positions)b::bigint[], %(last_positions)b::bigint[], %(recorded_ats)b::timestamptz[]
) AS g (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
RETURNING 1
