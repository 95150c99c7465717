-- Let others append again; locks nothing.
SELECT pg_advisory_unlock(4711010), set_config('idle_session_timeout', NULL, false)
