-- Let others see that a part of a rebuild is being filled, for as long as this session lasts; takes an advisory lock.
SELECT pg_advisory_lock_shared(4711003, hashtext(%(projection)s))
