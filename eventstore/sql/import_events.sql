-- Write events of another log after a position, the head's; takes the log's lock.
SELECT import_events(
    after_position => %(after_position)s::bigint,
    stream_ids => %(stream_ids)s::text[],
    versions => %(versions)s::bigint[],
    event_ids => %(event_ids)s::uuid[],
    event_types => %(event_types)s::text[],
    schema_versions => %(schema_versions)s::integer[],
    datas => %(datas)s::text[],
    metadatas => %(metadatas)s::text[],
    occurred_ats => %(occurred_ats)s::timestamptz[],
    recorded_ats => %(recorded_ats)s::timestamptz[],
    hashes => %(hashes)s::bytea[],
    previous_hashes => %(previous_hashes)s::bytea[]
)
