-- A log that was written elsewhere comes in with its own times, ids and positions.

-- As before, but for a second function that inserts.
CREATE OR REPLACE FUNCTION refuse_direct_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    call_stack text;
BEGIN
    GET DIAGNOSTICS call_stack = PG_CONTEXT;
    IF call_stack !~
        '\nPL/pgSQL function (public\.)?(append|import)_events\([a-z ,\[\]]*\) line [0-9]+ at [A-Za-z ]+$'
    THEN
        RAISE EXCEPTION 'events are written by append_events and import_events alone' USING ERRCODE = 'BK001';
    END IF;
    RETURN NULL;
END
$$;

-- SQLSTATE BK005: what is imported does not fit the log.

-- Write events as another log had them, after `after_position`, which must be the head.
--
-- All other arrays have one entry for each event, in order. `previous_hashes` are the links that the caller chained the
-- events to, '' before a version 1: whoever calls this can compute hashes, the database can only compare them.
--
-- For the owner of the log alone: it runs with the rights of its caller. The lock comes first, as in append_events, and
-- for the same reasons; index access is pinned as it is there.
CREATE FUNCTION import_events(
    after_position  bigint,
    stream_ids      text[],
    versions        bigint[],
    event_ids       uuid[],
    event_types     text[],
    schema_versions integer[],
    datas           text[],
    metadatas       text[],
    occurred_ats    timestamptz[],
    recorded_ats    timestamptz[],
    hashes          bytea[],
    previous_hashes bytea[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = public, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
    log_lock CONSTANT bigint := 4711001;
BEGIN
    PERFORM pg_advisory_xact_lock(log_lock);

    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'import_events needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'BK002';
    END IF;

    IF after_position IS DISTINCT FROM
        coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0)
    THEN
        RAISE EXCEPTION 'the log does not end at position %', after_position USING ERRCODE = 'BK005';
    END IF;

    INSERT INTO events (
        position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at, recorded_at,
        hash
    )
    SELECT after_position + g.ordinal, g.stream_id, g.version, g.event_id, g.event_type, g.schema_version,
           g.data::jsonb, g.metadata::jsonb, g.occurred_at, g.recorded_at, g.hash
    FROM unnest(
        stream_ids, versions, event_ids, event_types, schema_versions, datas, metadatas, occurred_ats, recorded_ats,
        hashes
    ) WITH ORDINALITY AS g (
        stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at, recorded_at, hash,
        ordinal
    )
    ORDER BY g.ordinal;

    -- Does each follow its predecessor, in version, position, time and chain? A version 1 has none.
    IF EXISTS (
        SELECT 1
        FROM unnest(stream_ids, versions, previous_hashes) AS g (stream_id, version, previous_hash)
        CROSS JOIN LATERAL (
            SELECT e.position, e.occurred_at FROM events AS e
            WHERE e.stream_id = g.stream_id AND e.version = g.version
            LIMIT 1
        ) AS written
        LEFT JOIN LATERAL (
            SELECT e.position, e.occurred_at, e.hash FROM events AS e
            WHERE e.stream_id = g.stream_id AND e.version = g.version - 1
            LIMIT 1
        ) AS earlier ON true
        WHERE coalesce(earlier.hash, '') IS DISTINCT FROM g.previous_hash
            OR (earlier.hash IS NULL) <> (g.version = 1)
            OR earlier.position > written.position
            OR earlier.occurred_at > written.occurred_at
    ) THEN
        RAISE EXCEPTION 'the events do not fit the log' USING ERRCODE = 'BK005';
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION import_events FROM PUBLIC;
