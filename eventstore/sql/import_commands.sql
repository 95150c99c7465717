-- Write verdicts of another log, under keys that were not used; the owner alone may. Returns a row for each.
INSERT INTO commands (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
SELECT g.scope, g.key, g.fingerprint, g.refused, g.result::jsonb, g.first_position, g.last_position, g.recorded_at
FROM unnest(
    %(scopes)s::text[], %(keys)s::text[], %(fingerprints)s::text[], %(refusals)s::boolean[], %(results)s::text[],
    %(first_positions)s::bigint[], %(last_positions)s::bigint[], %(recorded_ats)s::timestamptz[]
) AS g (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
RETURNING 1
