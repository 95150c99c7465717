-- Read who is in the way of a swap, the longest transaction first: who holds the table, or verifies streams; locks nothing.
SELECT activity.pid, activity.application_name, ceil(extract(epoch FROM clock_timestamp() - activity.xact_start))::bigint
FROM pg_stat_activity AS activity
WHERE activity.pid <> pg_backend_pid()
  AND EXISTS (
      SELECT 1
      FROM pg_locks AS held
      WHERE held.pid = activity.pid AND held.locktype = 'relation' AND held.granted
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (
            held.relation = to_regclass(%(table)s)
            OR (held.relation = to_regclass('public.verified_streams') AND held.mode <> 'AccessShareLock')
        )
  )
ORDER BY activity.xact_start
LIMIT 3
