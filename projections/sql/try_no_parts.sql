-- Tell whether no part of a rebuild is being filled; takes an advisory lock until this statement ends.
SELECT pg_try_advisory_xact_lock(4711003, hashtext(%(projection)s))
