-- Read accounts in the order asked for (null where there is no row), and how far their projection has come, as of one
-- moment; locks nothing.
WITH fresh AS MATERIALIZED (
    SELECT checkpoint.position,
           coalesce((
               SELECT ceil(greatest(extract(epoch FROM clock_timestamp() - recorded_at) * 1000, 0))::bigint
               FROM events
               WHERE events.position > checkpoint.position
               ORDER BY events.position
               LIMIT 1
           ), 0) AS age_ms
    FROM (
        SELECT coalesce((SELECT position FROM projection_checkpoints WHERE projection = 'account_summary'), 0)
            AS position
    ) AS checkpoint
)
SELECT fresh.position,
       fresh.age_ms,
       account.account_id, account.owner_id, account.client_id, account.currency, account.status, account.balance,
       account.version,
       to_char(account.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       to_char(account.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       verified.version,
       to_char(verified.verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM jsonb_array_elements_text(%(account_ids)s::jsonb) WITH ORDINALITY AS asked (account_id, place)
CROSS JOIN fresh
-- One after the other by their keys: a join might as well read whole tables, as long as they are small.
LEFT JOIN LATERAL (SELECT * FROM account_summary WHERE account_id = asked.account_id LIMIT 1) AS account ON true
LEFT JOIN LATERAL (
    SELECT * FROM verified_streams WHERE stream_id = 'account-' || asked.account_id LIMIT 1
) AS verified ON true
ORDER BY asked.place
