-- Take a stream of a projection in hand until this transaction ends, unless somebody has it; takes an advisory lock.
SELECT pg_try_advisory_xact_lock(hashtext(%(projection)s), hashtext(%(stream_id)s))
