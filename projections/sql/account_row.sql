-- Read an account (null if it has no row), and how far its projection has come, as of one moment; locks nothing.
SELECT checkpoint.position,
       coalesce((
           SELECT ceil(greatest(extract(epoch FROM clock_timestamp() - recorded_at) * 1000, 0))::bigint
           FROM events
           WHERE events.position > checkpoint.position
           ORDER BY events.position
           LIMIT 1
       ), 0),
       account.account_id, account.owner_id, account.client_id, account.currency, account.status, account.balance,
       account.version,
       to_char(account.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       to_char(account.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       verified.version,
       to_char(verified.verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM (
    SELECT coalesce((SELECT position FROM projection_checkpoints WHERE projection = 'account_summary'), 0) AS position
) AS checkpoint
LEFT JOIN account_summary AS account ON account.account_id = %(account_id)s
LEFT JOIN verified_streams AS verified ON verified.stream_id = 'account-' || %(account_id)s
