-- Note that a transfer is in flight, from when it may be taken up; locks its row.
INSERT INTO transfers_in_flight (stream_id, resume_at)
VALUES (%(stream_id)s, %(resume_at)s::timestamptz)
ON CONFLICT ON CONSTRAINT transfers_in_flight_pkey DO UPDATE SET resume_at = excluded.resume_at
