-- Keep others from appending, for a moment: takes the lock that each append shares, for the session, until it is given
-- back; a session that does nothing for so long is ended, and its lock with it.
SELECT set_config('idle_session_timeout', %(at_most_idle)s::text, false), pg_advisory_lock(4711010)
