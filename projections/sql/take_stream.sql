-- Take a stream of a projection in hand until this transaction ends, once nobody else has it; takes an advisory lock.
SELECT pg_advisory_xact_lock(hashtext(%(projection)s), hashtext(%(stream_id)s))
