-- Append commits in one transaction; takes the log's lock. One row for each commit, in order, after one of news if asked.
SELECT commit_index, status, first_position, last_position, to_jsonb(recorded_at) #>> '{}' AS recorded_at, detail::text
FROM append_events(
    commit_count => %(commit_count)s::integer,
    streams => %(streams)s::jsonb,
    commands => %(commands)s::jsonb,
    snapshots => %(snapshots)s::jsonb,
    seen_position => %(seen_position)s::bigint
)
ORDER BY commit_index
