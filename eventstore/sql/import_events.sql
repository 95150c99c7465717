-- Write events of another log after a position, the head's; takes the log's lock.
SELECT import_events(
    after_position => %(after_position)s::bigint,
    stream_ids => %(stream_ids)b::text[],
    versions => %(versions)b::bigint[],
    event_ids => %(event_ids)b::uuid[],
    event_types => %(event_types)b::text[],
    schema_versions => %(schema_versions)b::integer[],
    datas => %(datas)b::text[],
    metadatas => %(metadatas)b::text[],
    occurred_ats => %(occurred_ats)b::timestamptz[],
    recorded_ats => %(recorded_ats)b::timestamptz[],
    hashes => %(hashes)b::bytea[],
    previous_hashes => %(previous_hashes)b::bytea[]
)
