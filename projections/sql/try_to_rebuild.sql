-- Take the rebuilding of a projection in hand for this session, unless another has it; takes an advisory lock.
SELECT pg_try_advisory_lock(4711002, hashtext(%(projection)s))
