-- Note that a transfer is not in flight; locks its row.
DELETE FROM transfers_in_flight WHERE stream_id = %(stream_id)s
