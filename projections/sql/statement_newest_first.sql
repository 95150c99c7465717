-- Read a page of a statement, newest line first (nulls if it has none), its version, and how far its projection has come,
-- as of one moment; nothing of an account that is not client_id's, unless that is null; locks nothing.
WITH about AS MATERIALIZED (
    SELECT checkpoint.position,
           coalesce((
               SELECT ceil(greatest(extract(epoch FROM clock_timestamp() - recorded_at) * 1000, 0))::bigint
               FROM events
               WHERE events.position > checkpoint.position
               ORDER BY events.position
               LIMIT 1
           ), 0) AS age_ms,
           within_reach.is_so,
           CASE WHEN within_reach.is_so THEN coalesce((
               SELECT stream_version
               FROM account_statement
               WHERE account_id = %(account_id)s
               ORDER BY stream_version DESC
               LIMIT 1
           ), 0) ELSE 0 END AS version
    FROM (
        SELECT coalesce((
            SELECT position FROM projection_checkpoints WHERE projection = 'account_statement'
        ), 0) AS position
    ) AS checkpoint
    CROSS JOIN (
        SELECT %(client_id)s::text IS NULL OR EXISTS (
            SELECT FROM account_summary WHERE account_id = %(account_id)s AND client_id = %(client_id)s
        ) AS is_so
    ) AS within_reach
)
SELECT about.position, about.age_ms, about.version,
       line.event_id, line.account_id, line.stream_version, line.event_type, line.amount,
       CASE WHEN line.amount IS NOT NULL THEN line.currency END,
       line.transaction_id, line.reason, line.transfer_id, line.counterparty, line.description,
       nullif(line.metadata, '{}'), line.balance,
       to_char(line.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM about
LEFT JOIN LATERAL (
    SELECT *
    FROM account_statement
    WHERE about.is_so
          AND account_id = %(account_id)s
          AND stream_version < %(after)s::bigint
          AND occurred_at >= %(from)s::timestamptz
          AND occurred_at < %(to)s::timestamptz
          AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
    ORDER BY stream_version DESC
    OFFSET %(offset)s::integer
    LIMIT %(limit)s::integer
) AS line ON true
ORDER BY line.stream_version DESC
