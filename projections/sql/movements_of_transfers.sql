-- Read the movements and the beginnings of transfers in a range of positions, in order; locks nothing.
SELECT position, stream_id, event_type, schema_version, data::text
FROM events
WHERE position > %(after_position)s::bigint
    AND position <= %(until_position)s::bigint
    AND (
        event_type = 'TransferInitiated'
        OR (event_type IN ('MoneyDeposited', 'MoneyWithdrawn')
            AND (data ->> 'transferId' IS NOT NULL OR data ->> 'contra' = %(transit)s::text))
    )
ORDER BY position
