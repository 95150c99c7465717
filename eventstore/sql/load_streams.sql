-- Load snapshot and tail of streams, and the verdict under at most one command key, as of one moment; locks nothing.
SELECT kind, position, stream_id, version, event_id, event_type, schema_version, data::text, metadata::text,
       occurred_at, recorded_at, hash
FROM load_streams(
    stream_ids => %(stream_ids)s::text[],
    snapshot_schemas => %(snapshot_schemas)s::integer[],
    command_scopes => array_remove(ARRAY[%(command_scope)s::text], NULL),
    command_keys => array_remove(ARRAY[%(command_key)s::text], NULL)
)
