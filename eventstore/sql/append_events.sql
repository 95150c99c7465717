-- Append commits in one transaction; takes the log's lock. One row for each commit, in order.
SELECT commit_index, status, first_position, last_position, recorded_at, detail
FROM append_events(
    command_scopes => %(command_scopes)s::text[],
    command_keys => %(command_keys)s::text[],
    fingerprints => %(fingerprints)s::text[],
    refusals => %(refusals)s::boolean[],
    results => %(results)s::text[],
    commit_indexes => %(commit_indexes)s::integer[],
    stream_ids => %(stream_ids)s::text[],
    expected_versions => %(expected_versions)s::bigint[],
    event_counts => %(event_counts)s::integer[],
    snapshot_schemas => %(snapshot_schemas)s::integer[],
    snapshot_states => %(snapshot_states)s::text[],
    event_ids => %(event_ids)s::uuid[],
    event_types => %(event_types)s::text[],
    schema_versions => %(schema_versions)s::integer[],
    datas => %(datas)s::text[],
    metadatas => %(metadatas)s::text[],
    occurred_ats => %(occurred_ats)s::timestamptz[],
    hashes => %(hashes)s::bytea[]
)
ORDER BY commit_index
