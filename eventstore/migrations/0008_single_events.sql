-- Take a shorter way for what most calls are: one event, or commits of one event each that are all good. And tell of
-- events as json made of rows: as jsonb they took three times as long, while others waited for the log.

ALTER FUNCTION append_events RENAME TO append_events_with_jsonb;

-- Tell of the events after one position and up to another, in order; NULL if there are none, or more than 500.
CREATE FUNCTION events_told(after_position bigint, up_to_position bigint) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF up_to_position - after_position BETWEEN 1 AND 500 THEN
        RETURN (
            SELECT json_agg(told ORDER BY told.position)
            FROM (
                SELECT e.position, e.stream_id, e.version, e.event_id, e.event_type, e.schema_version, e.data, e.metadata,
                       e.occurred_at, e.recorded_at, encode(e.hash, 'hex') AS hash
                FROM events AS e
                WHERE e.position > after_position AND e.position <= up_to_position
            ) AS told
        );
    END IF;
    RETURN NULL;
END
$$;

-- Keep others from appending, for a moment, and tell what they wrote after `seen_position`: takes the lock that each
-- append shares, for the session, until it is given back. A session that does nothing for so long is ended, and its lock
-- with it. Whoever has begun to append is done before it is had: all up to `head` is told, and there is nothing after it.
CREATE FUNCTION take_right_of_way(at_most_idle text, seen_position bigint) RETURNS TABLE (head bigint, events json)
LANGUAGE plpgsql VOLATILE
SET search_path = public, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
BEGIN
    PERFORM set_config('idle_session_timeout', at_most_idle, false);
    PERFORM pg_advisory_lock(4711010);
    head := coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0);
    events := events_told(seen_position, head);
    RETURN NEXT;
END
$$;

-- Append one event after position `head`, if its stream is as expected and its key is new; say whether that was so. If
-- not, nothing is written, and append_events judges it: that alone calls this, under the log's lock, with its settings.
--
-- Set-wise statements take longer to begin than to write a single row.
CREATE FUNCTION append_single_event(stream jsonb, command jsonb, head bigint, written_at timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    event    CONSTANT jsonb       := stream #> '{events,0}';
    happened CONSTANT timestamptz := event ->> 'occurred_at';
    stored   record;
BEGIN
    SELECT e.version, e.hash, e.occurred_at INTO stored
    FROM events AS e
    WHERE e.stream_id = stream ->> 'stream_id'
    ORDER BY e.version DESC
    LIMIT 1;
    IF (stream ->> 'expected')::bigint <> coalesce(stored.version, 0)
        OR stream ->> 'previous' <> coalesce(encode(stored.hash, 'hex'), '')
    THEN
        RETURN false;
    END IF;

    IF EXISTS (SELECT FROM commands AS c WHERE c.scope = command ->> 'scope' AND c.key = command ->> 'key') THEN
        RETURN false;
    END IF;

    IF happened < stored.occurred_at THEN
        RAISE EXCEPTION 'an event is dated before its predecessor' USING ERRCODE = 'BK004';
    END IF;

    INSERT INTO events (
        position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at, recorded_at, hash
    ) VALUES (
        head + 1, stream ->> 'stream_id', (stream ->> 'expected')::bigint + 1, (event ->> 'event_id')::uuid,
        event ->> 'event_type', (event ->> 'schema_version')::integer, event -> 'data', event -> 'metadata', happened,
        written_at, decode(event ->> 'hash', 'hex')
    );

    IF command IS NOT NULL THEN
        INSERT INTO commands (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
        VALUES (
            command ->> 'scope', command ->> 'key', command ->> 'fingerprint', (command ->> 'refused')::boolean,
            command -> 'result', head + 1, head + 1, written_at
        );
    END IF;
    RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION append_single_event FROM PUBLIC;

-- Append commits as if one after another; one row for each, in order.
--
-- `streams` has an object for each stream of each commit, in order of commits (`commit` counts from 1): stream_id,
-- `expected` version, `previous` hash in hex ('' at version 0; null to leave it unchecked), and `events` in order, none
-- of which makes a guard. `commands` has one for each commit with a command, and `snapshots` for each snapshot; both are
-- NULL if there are none.
--
-- `status` is appended (positions, NULL without events), conflict (detail: versions, unseen) or duplicate (detail: the
-- stored command).
--
-- One who gives `seen_position` is also told what others wrote after it, in a row before all others: status news, the
-- position up to which it tells, and the events in `detail`. Of more than 500 nothing is told.
--
-- The log's lock comes first, alone in its statement. Under READ COMMITTED each later statement sees all that was committed
-- before the lock was had, so heads are never stale; and as positions are given and committed under it, position order
-- is commit order: a reader that has seen position N will never find a new event at or below N.
--
-- Before it, each call shares the right of way. Whoever was overtaken again and again takes that for itself alone: then
-- no append begins that it did not see, and those that had begun are done. In this order, for who waits for the right of
-- way must not hold the log.
--
-- A version alone does not tell what a commit builds on: where another writer's event took the place of an earlier
-- commit of this call, or where the log was restored and has grown again, the version is as expected and what it holds
-- is not. The hash tells.
--
-- Index access is pinned, by the settings and by a LIMIT in each LATERAL look-up (it keeps the planner from turning the
-- look-up into a join over the whole table): a plan made while the table was empty would scan it for ever.
CREATE FUNCTION append_events(
    commit_count integer, streams jsonb, commands jsonb, snapshots jsonb, seen_position bigint
) RETURNS TABLE (
    commit_index integer, status text, first_position bigint, last_position bigint, recorded_at timestamptz, detail json
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
    right_of_way CONSTANT bigint := 4711010;
    head         bigint;
    written_at   timestamptz;
    is_good      boolean;
    -- All is good, and each commit is one event: so its position follows from its place in the call.
    is_plain     boolean;
    is_in_time   boolean;
    -- What was found, unless all is good: of each commit, of each entry of `streams`, and of each stream and key by slot.
    statuses         text[];
    actual_versions  bigint[];
    entry_commits    integer[];
    entry_slots      integer[];
    entry_expected   bigint[];
    entry_previous   text[];
    entry_events     integer[];
    entry_hashes     text[];
    head_versions    bigint[];
    head_hashes      text[];
    key_slots        integer[];
    key_is_taken     boolean[];
    entry            integer := 1;
    next_entry       integer;
    slot             integer;
    first_positions  bigint[];
    last_positions   bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(right_of_way);
    PERFORM pg_advisory_xact_lock(log_lock);

    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'BK002';
    END IF;

    head := coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0);
    written_at := clock_timestamp();

    IF head - seen_position BETWEEN 1 AND 500 THEN
        RETURN QUERY SELECT 0, 'news', NULL::bigint, head, written_at, events_told(seen_position, head);
    END IF;

    IF commit_count = 1 AND snapshots IS NULL
        AND jsonb_array_length(streams) = 1 AND jsonb_array_length(streams #> '{0,events}') = 1
    THEN
        IF append_single_event(streams -> 0, commands -> 0, head, written_at) THEN
            RETURN QUERY SELECT 1, 'appended', head + 1, head + 1, written_at, NULL::json;
            RETURN;
        END IF;
    END IF;

    -- Is every stream in this call once, and where its commit expects it?
    SELECT coalesce(bool_and(
               s.expected = coalesce(stored.version, 0)
               AND (s.previous IS NULL OR s.previous = coalesce(encode(stored.hash, 'hex'), ''))
           ), true) AND count(*) = count(DISTINCT s.stream_id COLLATE "C"),
           bool_and(jsonb_array_length(s.events) = 1) AND count(*) = commit_count,
           coalesce(bool_and((s.events -> 0 ->> 'occurred_at')::timestamptz >= stored.occurred_at), true)
    INTO is_good, is_plain, is_in_time
    FROM jsonb_to_recordset(streams) AS s (stream_id text, expected bigint, previous text, events jsonb)
    LEFT JOIN LATERAL (
        SELECT e.version, e.hash, e.occurred_at FROM events AS e
        WHERE e.stream_id = s.stream_id
        ORDER BY e.version DESC
        LIMIT 1
    ) AS stored ON true;

    -- Is every key new, and in this call once?
    IF is_good AND commands IS NOT NULL THEN
        SELECT bool_and(wanted.times = 1 AND stored.scope IS NULL)
        INTO is_good
        FROM (
            SELECT c.scope, c.key, count(*) AS times
            FROM jsonb_to_recordset(commands) AS c (scope text, key text)
            GROUP BY c.scope, c.key
        ) AS wanted
        LEFT JOIN LATERAL (
            SELECT c.scope FROM commands AS c WHERE c.scope = wanted.scope AND c.key = wanted.key LIMIT 1
        ) AS stored ON true;
    END IF;

    is_plain := is_plain AND is_good;

    -- If not, judge the commits one after another, each by what the ones before it would leave.
    IF NOT is_good THEN
        SELECT array_agg(s.commit ORDER BY s.ordinal), array_agg(s.slot ORDER BY s.ordinal),
               array_agg(s.expected ORDER BY s.ordinal), array_agg(s.previous ORDER BY s.ordinal),
               array_agg(jsonb_array_length(s.events) ORDER BY s.ordinal),
               array_agg(s.events -> -1 ->> 'hash' ORDER BY s.ordinal)
        INTO entry_commits, entry_slots, entry_expected, entry_previous, entry_events, entry_hashes
        FROM (
            SELECT w.*, dense_rank() OVER (ORDER BY w.stream_id COLLATE "C")::integer AS slot
            FROM ROWS FROM (
                jsonb_to_recordset(streams)
                AS (commit integer, stream_id text, expected bigint, previous text, events jsonb)
            ) WITH ORDINALITY AS w (commit, stream_id, expected, previous, events, ordinal)
        ) AS s;

        SELECT array_agg(coalesce(stored.version, 0) ORDER BY s.stream_id COLLATE "C"),
               array_agg(coalesce(encode(stored.hash, 'hex'), '') ORDER BY s.stream_id COLLATE "C")
        INTO head_versions, head_hashes
        FROM (SELECT DISTINCT w.stream_id FROM jsonb_to_recordset(streams) AS w (stream_id text)) AS s
        LEFT JOIN LATERAL (
            SELECT e.version, e.hash FROM events AS e WHERE e.stream_id = s.stream_id ORDER BY e.version DESC LIMIT 1
        ) AS stored ON true;

        SELECT array_agg(k.slot ORDER BY c.commit), array_agg(k.is_taken ORDER BY k.slot) FILTER (WHERE k.is_first)
        INTO key_slots, key_is_taken
        FROM generate_series(1, commit_count) AS c (commit)
        LEFT JOIN (
            SELECT wanted.commit,
                   dense_rank() OVER (ORDER BY wanted.scope COLLATE "C", wanted.key COLLATE "C")::integer AS slot,
                   row_number() OVER (PARTITION BY wanted.scope, wanted.key) = 1 AS is_first,
                   stored.scope IS NOT NULL AS is_taken
            FROM jsonb_to_recordset(commands) AS wanted (commit integer, scope text, key text)
            LEFT JOIN LATERAL (
                SELECT c.scope FROM commands AS c WHERE c.scope = wanted.scope AND c.key = wanted.key LIMIT 1
            ) AS stored ON true
        ) AS k ON k.commit = c.commit;

        FOR i IN 1 .. commit_count LOOP
            -- Duplicate before conflict: a repeated command also finds its stream moved on, by itself.
            statuses[i] := CASE WHEN key_is_taken[key_slots[i]] THEN 'duplicate' ELSE 'appended' END;
            next_entry := entry;
            WHILE entry_commits[next_entry] = i LOOP
                slot := entry_slots[next_entry];
                actual_versions[next_entry] := head_versions[slot];
                IF statuses[i] = 'appended' AND (
                    entry_expected[next_entry] <> head_versions[slot] OR entry_previous[next_entry] <> head_hashes[slot]
                ) THEN
                    statuses[i] := 'conflict';
                END IF;
                next_entry := next_entry + 1;
            END LOOP;
            IF statuses[i] = 'appended' THEN
                IF key_slots[i] IS NOT NULL THEN
                    key_is_taken[key_slots[i]] := true;
                END IF;
                FOR written IN entry .. next_entry - 1 LOOP
                    IF entry_events[written] > 0 THEN
                        slot := entry_slots[written];
                        head_versions[slot] := head_versions[slot] + entry_events[written];
                        head_hashes[slot] := entry_hashes[written];
                    END IF;
                END LOOP;
            END IF;
            entry := next_entry;
        END LOOP;
    END IF;

    IF is_plain THEN
        IF NOT is_in_time THEN
            RAISE EXCEPTION 'an event is dated before its predecessor' USING ERRCODE = 'BK004';
        END IF;
        INSERT INTO events (
            position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
            recorded_at, hash
        )
        SELECT head + s.commit, s.stream_id, s.expected + 1, (s.event ->> 'event_id')::uuid, s.event ->> 'event_type',
               (s.event ->> 'schema_version')::integer, s.event -> 'data', s.event -> 'metadata',
               (s.event ->> 'occurred_at')::timestamptz, written_at, decode(s.event ->> 'hash', 'hex')
        FROM (
            SELECT w.commit, w.stream_id, w.expected, w.events -> 0 AS event
            FROM jsonb_to_recordset(streams) AS w (commit integer, stream_id text, expected bigint, events jsonb)
            OFFSET 0
        ) AS s;
        first_positions := ARRAY(SELECT head + c FROM generate_series(1, commit_count) AS c);
        last_positions := first_positions;
    ELSE
        INSERT INTO events (
            position, stream_id, version, event_id, event_type, schema_version, data, metadata, occurred_at,
            recorded_at, hash
        )
        SELECT head + row_number() OVER (ORDER BY s.ordinal, e.ordinal), s.stream_id, s.expected + e.ordinal,
               e.event_id, e.event_type, e.schema_version, e.data, e.metadata, e.occurred_at, written_at,
               decode(e.hash, 'hex')
        FROM ROWS FROM (
            jsonb_to_recordset(streams) AS (commit integer, stream_id text, expected bigint, events jsonb)
        ) WITH ORDINALITY AS s (commit, stream_id, expected, events, ordinal)
        CROSS JOIN LATERAL ROWS FROM (
            jsonb_to_recordset(s.events) AS (
                event_id uuid, event_type text, schema_version integer, data jsonb, metadata jsonb,
                occurred_at timestamptz, hash text
            )
        ) WITH ORDINALITY AS e (event_id, event_type, schema_version, data, metadata, occurred_at, hash, ordinal)
        WHERE is_good OR statuses[s.commit] = 'appended'
        ORDER BY s.ordinal, e.ordinal;

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

        -- The positions of each commit: NULL without events, and where nothing was written.
        SELECT array_agg(CASE WHEN c.events > 0 THEN head + 1 + c.events_so_far - c.events END ORDER BY c.commit),
               array_agg(CASE WHEN c.events > 0 THEN head + c.events_so_far END ORDER BY c.commit)
        INTO first_positions, last_positions
        FROM (
            SELECT w.commit, w.events, sum(w.events) OVER (ORDER BY w.commit)::bigint AS events_so_far
            FROM (
                SELECT s.commit, sum(CASE
                           WHEN is_good OR statuses[s.commit] = 'appended' THEN jsonb_array_length(s.events)
                           ELSE 0
                       END) AS events
                FROM jsonb_to_recordset(streams) AS s (commit integer, events jsonb)
                GROUP BY s.commit
            ) AS w
        ) AS c;
    END IF;

    IF commands IS NOT NULL THEN
        INSERT INTO commands (scope, key, fingerprint, refused, result, first_position, last_position, recorded_at)
        SELECT c.scope, c.key, c.fingerprint, c.refused, c.result, first_positions[c.commit], last_positions[c.commit],
               written_at
        FROM jsonb_to_recordset(commands)
            AS c (commit integer, scope text, key text, fingerprint text, refused boolean, result jsonb)
        WHERE is_good OR statuses[c.commit] = 'appended';
    END IF;

    IF snapshots IS NOT NULL THEN
        INSERT INTO snapshots (stream_id, schema_version, version, state, hash, occurred_at, recorded_at)
        SELECT DISTINCT ON (s.stream_id, s.schema_version)
               s.stream_id, s.schema_version, e.version, s.state, e.hash, e.occurred_at, written_at
        FROM jsonb_to_recordset(snapshots)
            AS s (commit integer, stream_id text, schema_version integer, version bigint, state jsonb)
        CROSS JOIN LATERAL (
            SELECT l.version, l.hash, l.occurred_at FROM events AS l
            WHERE l.stream_id = s.stream_id AND l.version = s.version
            LIMIT 1
        ) AS e
        WHERE is_good OR statuses[s.commit] = 'appended'
        ORDER BY s.stream_id, s.schema_version, e.version DESC
        ON CONFLICT ON CONSTRAINT snapshots_pkey DO UPDATE
        SET version = excluded.version, state = excluded.state, hash = excluded.hash,
            occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at
        WHERE snapshots.version < excluded.version;
    END IF;

    RETURN QUERY
    SELECT c.commit::integer, 'appended', c.first_position, c.last_position, written_at, NULL::json
    FROM unnest(first_positions, last_positions) WITH ORDINALITY AS c (first_position, last_position, commit)
    WHERE is_good OR statuses[c.commit] = 'appended';
    IF is_good THEN
        RETURN;
    END IF;

    RETURN QUERY
    SELECT wanted.commit, 'duplicate', stored.first_position, stored.last_position, stored.recorded_at,
           json_build_object('fingerprint', stored.fingerprint, 'refused', stored.refused, 'result', stored.result)
    FROM jsonb_to_recordset(commands) AS wanted (commit integer, scope text, key text)
    CROSS JOIN LATERAL (
        SELECT c.* FROM commands AS c WHERE c.scope = wanted.scope AND c.key = wanted.key LIMIT 1
    ) AS stored
    WHERE statuses[wanted.commit] = 'duplicate';

    -- What a commit has not seen are the events after the one that it builds on, up to where its stream stood for it.
    -- They are gathered once, however few the planner thinks there will be.
    RETURN QUERY
    WITH unseen AS MATERIALIZED (
        SELECT u.ordinal, json_agg(u.told ORDER BY (u.told).version) AS events
        FROM (
            SELECT w.ordinal, e AS told, row_number() OVER (PARTITION BY w.commit ORDER BY w.ordinal, e.version) AS nth
            FROM ROWS FROM (
                jsonb_to_recordset(streams) AS (commit integer, stream_id text, expected bigint, previous text)
            ) WITH ORDINALITY AS w (commit, stream_id, expected, previous, ordinal)
            CROSS JOIN LATERAL (
                SELECT b.hash FROM events AS b WHERE b.stream_id = w.stream_id AND b.version = w.expected LIMIT 1
            ) AS base
            CROSS JOIN LATERAL (
                SELECT l.position, l.stream_id, l.version, l.event_id, l.event_type, l.schema_version, l.data,
                       l.metadata, l.occurred_at, l.recorded_at, encode(l.hash, 'hex') AS hash
                FROM events AS l
                WHERE l.stream_id = w.stream_id AND l.version > w.expected
                  AND l.version <= actual_versions[w.ordinal]
                ORDER BY l.version
                LIMIT 200
            ) AS e
            WHERE statuses[w.commit] = 'conflict' AND w.expected > 0
              AND (w.previous IS NULL OR w.previous = encode(base.hash, 'hex'))
        ) AS u
        WHERE u.nth <= 200
        GROUP BY u.ordinal
    )
    SELECT s.commit, 'conflict', NULL::bigint, NULL::bigint, NULL::timestamptz, json_build_object(
               'versions', json_object_agg(s.stream_id, actual_versions[s.ordinal]),
               'unseen', coalesce(json_agg(unseen.events) FILTER (WHERE unseen.events IS NOT NULL), '[]')
           )
    FROM ROWS FROM (jsonb_to_recordset(streams) AS (commit integer, stream_id text, expected bigint))
        WITH ORDINALITY AS s (commit, stream_id, expected, ordinal)
    LEFT JOIN unseen ON unseen.ordinal = s.ordinal
    WHERE statuses[s.commit] = 'conflict'
    GROUP BY s.commit;
END
$$;

REVOKE EXECUTE ON FUNCTION append_events FROM PUBLIC;

-- Who may append stays as it is.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN
        SELECT grantee::regrole::name
        FROM pg_proc, aclexplode(proacl)
        WHERE pg_proc.oid = 'append_events_with_jsonb'::regproc AND privilege_type = 'EXECUTE' AND grantee <> 0
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION append_events TO %I', role);
    END LOOP;
END
$$;

DROP FUNCTION append_events_with_jsonb;
