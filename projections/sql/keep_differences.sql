-- Keep differences that were found, as long as there is room; locks the rows of those that are kept already. One row for each
-- that is new: its id.
INSERT INTO verification_differences (
    difference_id, check_name, stream_id, place, key, column_name, expected, actual, first_found_at, last_found_at
)
SELECT difference_id, check_name, stream_id, place, key, column_name, expected, actual, transaction_timestamp(),
       transaction_timestamp()
FROM unnest(
    %(difference_ids)s::uuid[], %(check_names)s::text[], %(stream_ids)s::text[], %(places)s::text[], %(keys)s::text[],
    %(column_names)s::text[], %(expecteds)s::text[], %(actuals)s::text[]
) AS found (difference_id, check_name, stream_id, place, key, column_name, expected, actual)
WHERE (SELECT count(*) FROM verification_differences) < %(room)s::bigint
ORDER BY difference_id
ON CONFLICT (difference_id) DO UPDATE
SET expected = excluded.expected, actual = excluded.actual, last_found_at = excluded.last_found_at
RETURNING difference_id, xmax = 0
