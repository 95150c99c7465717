-- Read the last line of each of some accounts' statements, by one index probe each; locks nothing.
SELECT last.account_id, last.stream_version, last.event_type, last.currency, last.balance
FROM unnest(%(account_ids)s::text[]) AS wanted (account_id)
CROSS JOIN LATERAL (
    SELECT account_id, stream_version, event_type, currency, balance
    FROM account_statement
    WHERE account_statement.account_id = wanted.account_id
    ORDER BY stream_version DESC
    LIMIT 1
) AS last
ORDER BY last.account_id
