-- Keep differences that were found, and lock the rows of those that are kept already: these stay, and of new ones there are as
-- many as there is room for. One row for each that is kept: its id, and whether it is new.
WITH found AS (
    SELECT found.*, kept.difference_id IS NOT NULL AS is_kept,
           row_number() OVER (PARTITION BY kept.difference_id IS NULL ORDER BY found.difference_id) AS ordinal
    FROM unnest(
        %(difference_ids)s::uuid[], %(check_names)s::text[], %(stream_ids)s::text[], %(places)s::text[], %(keys)s::text[],
        %(column_names)s::text[], %(expecteds)s::text[], %(actuals)s::text[]
    ) AS found (difference_id, check_name, stream_id, place, key, column_name, expected, actual)
    LEFT JOIN verification_differences AS kept ON kept.difference_id = found.difference_id
)
INSERT INTO verification_differences (
    difference_id, check_name, stream_id, place, key, column_name, expected, actual, first_found_at, last_found_at
)
SELECT difference_id, check_name, stream_id, place, key, column_name, expected, actual, transaction_timestamp(),
       transaction_timestamp()
FROM found
WHERE is_kept OR ordinal <= %(room)s::bigint - (SELECT count(*) FROM verification_differences)
ORDER BY difference_id
ON CONFLICT (difference_id) DO UPDATE
SET expected = excluded.expected, actual = excluded.actual, last_found_at = excluded.last_found_at
RETURNING difference_id, xmax = 0
