-- The append-only log of events, its snapshots and the verdicts on keyed commands.

CREATE TABLE events (
    position       bigint      NOT NULL,
    stream_id      text        NOT NULL COLLATE "C",
    version        bigint      NOT NULL,
    event_id       uuid        NOT NULL,
    event_type     text        NOT NULL COLLATE "C",
    schema_version integer     NOT NULL,
    data           jsonb       NOT NULL,
    metadata       jsonb       NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    hash           bytea       NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_stream_version_key UNIQUE (stream_id, version),
    CONSTRAINT events_position_check CHECK (position > 0),
    CONSTRAINT events_version_check CHECK (version > 0),
    CONSTRAINT events_stream_id_check CHECK (stream_id <> ''),
    CONSTRAINT events_event_type_check CHECK (event_type <> ''),
    CONSTRAINT events_schema_version_check CHECK (schema_version > 0),
    CONSTRAINT events_data_check CHECK (jsonb_typeof(data) = 'object'),
    CONSTRAINT events_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT events_hash_check CHECK (octet_length(hash) = 32)
);

CREATE TABLE snapshots (
    stream_id      text        NOT NULL COLLATE "C",
    schema_version integer     NOT NULL,
    version        bigint      NOT NULL,
    state          jsonb       NOT NULL,
    hash           bytea       NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (stream_id, schema_version),
    CONSTRAINT snapshots_version_check CHECK (version > 0),
    CONSTRAINT snapshots_state_check CHECK (jsonb_typeof(state) = 'object'),
    CONSTRAINT snapshots_hash_check CHECK (octet_length(hash) = 32)
);

CREATE TABLE commands (
    scope          text        NOT NULL COLLATE "C",
    key            text        NOT NULL COLLATE "C",
    fingerprint    text        NOT NULL COLLATE "C",
    refused        boolean     NOT NULL,
    result         jsonb       NOT NULL,
    first_position bigint,
    last_position  bigint,
    recorded_at    timestamptz NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (scope, key),
    CONSTRAINT commands_result_check CHECK (jsonb_typeof(result) = 'object'),
    CONSTRAINT commands_positions_check CHECK (
        (first_position IS NULL AND last_position IS NULL) OR (first_position > 0 AND last_position >= first_position)
    )
);

-- SQLSTATEs of the bank's own, class BK:
--   BK001  the log is append-only           BK002  wrong isolation level
--   BK003  the caller broke the contract    BK004  an event is dated before its predecessor

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: % is refused', TG_OP USING ERRCODE = 'BK001';
END
$$;

CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where one role both owns the log and serves the bank, privileges cannot keep it from inserting by hand. The call
-- stack can: its outermost frame, at its end, must be the function that inserts. (Further in, a statement's own text
-- is quoted, which may say anything.) A session variable could simply be set.
CREATE FUNCTION refuse_direct_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    call_stack text;
BEGIN
    GET DIAGNOSTICS call_stack = PG_CONTEXT;
    IF call_stack !~ '\nPL/pgSQL function (public\.)?append_events\([a-z ,\[\]]*\) line [0-9]+ at [A-Za-z ]+$' THEN
        RAISE EXCEPTION 'events are written by append_events alone' USING ERRCODE = 'BK001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER events_refuse_direct_insert AFTER INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_direct_insert();

-- Append commits as if one after another; one row for each, in order.
--
-- There is one entry for each commit in command_*, (NULL scope: no command), one for each stream of each commit in
-- commit_indexes … snapshot_states (commits count from 1; in order of commits; event_counts 0 makes a guard; NULL
-- schema: no snapshot), and one for each event in event_* and the rest, in the order of the streams they belong to.
--
-- `status` is appended (positions, NULL without events), conflict (detail: versions, unseen) or duplicate (detail: the
-- stored command).
--
-- The lock comes first, alone in its statement. Under READ COMMITTED each later statement sees all that was committed
-- before the lock was had, so heads are never stale; and as positions are given and committed under it, position order
-- is commit order: a reader that has seen position N will never find a new event at or below N.
--
-- Index access is pinned, by the settings and by a LIMIT in each LATERAL look-up (it keeps the planner from turning the
-- look-up into a join over the whole table): a plan made while the table was empty would scan it for ever.
CREATE FUNCTION append_events(
    command_scopes    text[],
    command_keys      text[],
    fingerprints      text[],
    refusals          boolean[],
    results           text[],
    commit_indexes    integer[],
    stream_ids        text[],
    expected_versions bigint[],
    event_counts      integer[],
    snapshot_schemas  integer[],
    snapshot_states   text[],
    event_ids         uuid[],
    event_types       text[],
    schema_versions   integer[],
    datas             text[],
    metadatas         text[],
    occurred_ats      timestamptz[],
    hashes            bytea[]
) RETURNS TABLE (
    commit_index integer, status text, first_position bigint, last_position bigint, recorded_at timestamptz, detail jsonb
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    log_lock     CONSTANT bigint := 4711001;
    commit_count CONSTANT integer := cardinality(command_scopes);
    stream_count CONSTANT integer := cardinality(stream_ids);
    has_commands CONSTANT boolean := array_remove(command_scopes, NULL) <> '{}';
    has_snapshots CONSTANT boolean := array_remove(snapshot_schemas, NULL) <> '{}';
    head         bigint;
    written_at   timestamptz;
    is_free      boolean;
    is_expected  boolean;
    first_positions bigint[];
    last_positions  bigint[];
    stream_from  integer := 1;
    stream_to    integer;
    event_from   integer := 1;
    event_to     integer;
BEGIN
    PERFORM pg_advisory_xact_lock(log_lock);

    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'BK002';
    END IF;

    -- Is every key new, also within this call?
    is_free := NOT EXISTS (
        SELECT 1
        FROM unnest(command_scopes, command_keys) AS wanted (scope, key)
        CROSS JOIN LATERAL (
            SELECT 1 FROM commands AS c WHERE c.scope = wanted.scope AND c.key = wanted.key LIMIT 1
        ) AS stored
    );
    IF is_free AND commit_count > 1 THEN
        is_free := NOT EXISTS (
            SELECT 1
            FROM unnest(command_scopes, command_keys) AS wanted (scope, key)
            WHERE wanted.scope IS NOT NULL
            GROUP BY wanted.scope, wanted.key
            HAVING count(*) > 1
        );
    END IF;

    -- Does every stream stand where its commit expects it, after the commits before it in this call?
    SELECT coalesce(bool_and(wanted.expected = coalesce(stored.version, 0) + wanted.earlier), true)
    INTO is_expected
    FROM (
        SELECT s.stream_id, s.expected,
               coalesce(sum(s.events) OVER (
                   PARTITION BY s.stream_id ORDER BY s.ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ), 0) AS earlier
        FROM unnest(stream_ids, expected_versions, event_counts)
            WITH ORDINALITY AS s (stream_id, expected, events, ordinal)
    ) AS wanted
    LEFT JOIN LATERAL (
        SELECT e.version FROM events AS e WHERE e.stream_id = wanted.stream_id ORDER BY e.version DESC LIMIT 1
    ) AS stored ON true;

    IF is_free AND is_expected THEN
        written_at := clock_timestamp();
        head := coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0);

        IF cardinality(event_ids) > 0 THEN
            INSERT INTO events (
                position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
                recorded_at, hash
            )
            SELECT head + e.ordinal, s.stream_id, s.version, e.event_id, e.event_type, e.schema_version,
                   e.data::jsonb, e.metadata::jsonb, e.occurred_at, written_at, e.hash
            FROM (
                SELECT w.stream_id, w.expected + n AS version, row_number() OVER (ORDER BY w.ordinal, n) AS ordinal
                FROM unnest(stream_ids, expected_versions, event_counts)
                    WITH ORDINALITY AS w (stream_id, expected, events, ordinal)
                CROSS JOIN LATERAL generate_series(1, w.events) AS n
            ) AS s
            FULL JOIN unnest(event_ids, event_types, schema_versions, datas, metadatas, occurred_ats, hashes)
                WITH ORDINALITY AS e (event_id, event_type, schema_version, data, metadata, occurred_at, hash, ordinal)
                ON e.ordinal = s.ordinal
            ORDER BY e.ordinal;

            IF EXISTS (
                SELECT 1
                FROM events AS e
                CROSS JOIN LATERAL (
                    SELECT p.occurred_at FROM events AS p
                    WHERE p.stream_id = e.stream_id AND p.version = e.version - 1
                    LIMIT 1
                ) AS earlier
                WHERE e.position > head AND e.occurred_at < earlier.occurred_at
            ) THEN
                RAISE EXCEPTION 'an event is dated before its predecessor' USING ERRCODE = 'BK004';
            END IF;
        END IF;

        first_positions := ARRAY(
            SELECT CASE WHEN sum(c.events) > 0
                        THEN head + 1 + sum(sum(c.events)) OVER (ORDER BY c.commit_index) - sum(c.events) END::bigint
            FROM unnest(commit_indexes, event_counts) AS c (commit_index, events)
            GROUP BY c.commit_index
            ORDER BY c.commit_index
        );
        last_positions := ARRAY(
            SELECT CASE WHEN sum(c.events) > 0
                        THEN head + sum(sum(c.events)) OVER (ORDER BY c.commit_index) END::bigint
            FROM unnest(commit_indexes, event_counts) AS c (commit_index, events)
            GROUP BY c.commit_index
            ORDER BY c.commit_index
        );

        IF has_commands THEN
            INSERT INTO commands (
                scope, key, fingerprint, refused, result, first_position, last_position, recorded_at
            )
            SELECT c.scope, c.key, c.fingerprint, c.refused, c.result::jsonb, c.first_position, c.last_position,
                   written_at
            FROM unnest(
                command_scopes, command_keys, fingerprints, refusals, results, first_positions, last_positions
            ) AS c (scope, key, fingerprint, refused, result, first_position, last_position)
            WHERE c.scope IS NOT NULL;
        END IF;

        IF has_snapshots THEN
            INSERT INTO snapshots (stream_id, schema_version, version, state, hash, occurred_at, recorded_at)
            SELECT DISTINCT ON (s.stream_id, s.schema_version)
                   s.stream_id, s.schema_version, e.version, s.state::jsonb, e.hash, e.occurred_at, written_at
            FROM unnest(stream_ids, expected_versions, event_counts, snapshot_schemas, snapshot_states)
                AS s (stream_id, expected, events, schema_version, state)
            CROSS JOIN LATERAL (
                SELECT l.version, l.hash, l.occurred_at FROM events AS l
                WHERE l.stream_id = s.stream_id AND l.version = s.expected + s.events
                LIMIT 1
            ) AS e
            WHERE s.schema_version IS NOT NULL
            ORDER BY s.stream_id, s.schema_version, e.version DESC
            ON CONFLICT ON CONSTRAINT snapshots_pkey DO UPDATE
            SET version = excluded.version, state = excluded.state, hash = excluded.hash,
                occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at
            WHERE snapshots.version < excluded.version;
        END IF;

        RETURN QUERY
        SELECT c.ordinal::integer, 'appended', c.first_position, c.last_position, written_at, NULL::jsonb
        FROM unnest(first_positions, last_positions) WITH ORDINALITY AS c (first_position, last_position, ordinal)
        ORDER BY c.ordinal;
        RETURN;
    END IF;

    IF commit_count = 1 THEN
        -- Duplicate before conflict: a repeated command also finds its stream moved on, by itself.
        IF NOT is_free THEN
            RETURN QUERY
            SELECT 1, 'duplicate', c.first_position, c.last_position, c.recorded_at,
                   jsonb_build_object('fingerprint', c.fingerprint, 'refused', c.refused, 'result', c.result)
            FROM commands AS c
            WHERE c.scope = command_scopes[1] AND c.key = command_keys[1];
            RETURN;
        END IF;
        RETURN QUERY
        SELECT 1, 'conflict', NULL::bigint, NULL::bigint, NULL::timestamptz, jsonb_build_object(
            'versions', (
                SELECT jsonb_object_agg(s.stream_id, coalesce(stored.version, 0))
                FROM unnest(stream_ids) AS s (stream_id)
                LEFT JOIN LATERAL (
                    SELECT e.version FROM events AS e WHERE e.stream_id = s.stream_id ORDER BY e.version DESC LIMIT 1
                ) AS stored ON true
            ),
            'unseen', (
                SELECT coalesce(jsonb_agg(to_jsonb(u) - 'ordinal' || jsonb_build_object('hash', encode(u.hash, 'hex'))), '[]')
                FROM (
                    SELECT s.ordinal, e.*
                    FROM unnest(stream_ids, expected_versions) WITH ORDINALITY AS s (stream_id, expected, ordinal)
                    CROSS JOIN LATERAL (
                        SELECT l.position, l.stream_id, l.version, l.event_id, l.event_type, l.schema_version, l.data,
                               l.metadata, l.occurred_at, l.recorded_at, l.hash
                        FROM events AS l
                        WHERE l.stream_id = s.stream_id AND l.version > s.expected AND s.expected > 0
                        ORDER BY l.version
                        LIMIT 200
                    ) AS e
                    ORDER BY s.ordinal, e.version
                    LIMIT 200
                ) AS u
            )
        );
        RETURN;
    END IF;

    -- Something in this call is not good: judge its commits one by one, by this same function.
    FOR i IN 1 .. commit_count LOOP
        stream_to := stream_from - 1;
        event_to := event_from - 1;
        WHILE stream_to < stream_count AND commit_indexes[stream_to + 1] = i LOOP
            stream_to := stream_to + 1;
            event_to := event_to + event_counts[stream_to];
        END LOOP;
        RETURN QUERY
        SELECT i, one.status, one.first_position, one.last_position, one.recorded_at, one.detail
        FROM append_events(
            command_scopes[i:i], command_keys[i:i], fingerprints[i:i], refusals[i:i], results[i:i],
            array_fill(1, ARRAY[stream_to - stream_from + 1]),
            stream_ids[stream_from:stream_to], expected_versions[stream_from:stream_to],
            event_counts[stream_from:stream_to], snapshot_schemas[stream_from:stream_to],
            snapshot_states[stream_from:stream_to],
            event_ids[event_from:event_to], event_types[event_from:event_to], schema_versions[event_from:event_to],
            datas[event_from:event_to], metadatas[event_from:event_to], occurred_ats[event_from:event_to],
            hashes[event_from:event_to]
        ) AS one;
        stream_from := stream_to + 1;
        event_from := event_to + 1;
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION append_events FROM PUBLIC;

-- Read the verdict under a command key, and snapshot and tail of each stream, as of one moment: commands first, then
-- for each stream in the order asked for its snapshot, then its events. Locks nothing.
CREATE FUNCTION load_streams(
    stream_ids text[], snapshot_schemas integer[], command_scope text, command_key text
) RETURNS TABLE (
    kind text, "position" bigint, stream_id text, version bigint, event_id uuid, event_type text,
    schema_version integer, data jsonb, metadata jsonb, occurred_at timestamptz, recorded_at timestamptz, hash bytea
)
LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF command_scope IS NOT NULL THEN
        RETURN QUERY
        SELECT 'command', c.last_position, NULL::text, c.first_position, NULL::uuid, c.fingerprint,
               c.refused::integer, c.result, NULL::jsonb, NULL::timestamptz, c.recorded_at, NULL::bytea
        FROM commands AS c
        WHERE c.scope = command_scope AND c.key = command_key;
    END IF;

    RETURN QUERY
    SELECT 'snapshot', NULL::bigint, s.stream_id, s.version, NULL::uuid, NULL::text, s.schema_version, s.state,
           NULL::jsonb, s.occurred_at, s.recorded_at, s.hash
    FROM unnest(stream_ids, snapshot_schemas) AS wanted (stream_id, schema_version)
    CROSS JOIN LATERAL (
        SELECT l.* FROM snapshots AS l
        WHERE l.stream_id = wanted.stream_id AND l.schema_version = wanted.schema_version
        LIMIT 1
    ) AS s;

    RETURN QUERY
    SELECT 'event', e.position, e.stream_id, e.version, e.event_id, e.event_type, e.schema_version, e.data, e.metadata,
           e.occurred_at, e.recorded_at, e.hash
    FROM unnest(stream_ids, snapshot_schemas) WITH ORDINALITY AS wanted (stream_id, schema_version, ordinal)
    LEFT JOIN LATERAL (
        SELECT l.version FROM snapshots AS l
        WHERE l.stream_id = wanted.stream_id AND l.schema_version = wanted.schema_version
        LIMIT 1
    ) AS s ON true
    CROSS JOIN LATERAL (
        SELECT l.* FROM events AS l
        WHERE l.stream_id = wanted.stream_id AND l.version > coalesce(s.version, 0)
        ORDER BY l.version
    ) AS e
    ORDER BY wanted.ordinal, e.version;
END
$$;
