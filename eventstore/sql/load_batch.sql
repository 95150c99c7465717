-- Load snapshot and tail of streams, and the verdicts under command keys, as of one moment; locks nothing.
SELECT kind, position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text,
       occurred_at, recorded_at, hash
FROM load_streams(
    stream_ids => %(stream_ids)s::text[],
    snapshot_schemas => %(snapshot_schemas)s::integer[],
    command_scopes => %(command_scopes)s::text[],
    command_keys => %(command_keys)s::text[]
)
