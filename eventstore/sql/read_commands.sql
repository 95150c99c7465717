-- Read verdicts after a key, in the order of their keys; locks nothing.
SELECT scope, key, fingerprint, refused, result, first_position, last_position, recorded_at
FROM commands
WHERE (scope, key) > (%(after_scope)s::text, %(after_key)s::text)
ORDER BY scope, key
LIMIT %(limit)s::bigint
