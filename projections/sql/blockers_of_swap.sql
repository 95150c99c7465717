-- Read who holds a table in the way of a swap, the longest transaction first; locks nothing.
SELECT activity.pid, activity.application_name, ceil(extract(epoch FROM clock_timestamp() - activity.xact_start))::bigint
FROM pg_locks AS held
JOIN pg_stat_activity AS activity ON activity.pid = held.pid
WHERE held.locktype = 'relation' AND held.relation = to_regclass(%(table)s) AND held.granted
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND held.pid <> pg_backend_pid()
ORDER BY activity.xact_start
LIMIT 3
