-- Delete refusals recorded before a moment, the oldest first and at most so many; return how many. Takes the log's lock:
-- an append that has found a refusal under its key reads it again, and must find it still. Locks the rows too, and leaves
-- to another caller what that one has locked.
CREATE OR REPLACE FUNCTION forget_refusals(recorded_before timestamptz, max_refusals integer) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    SELECT pg_advisory_xact_lock(4711001);

    WITH forgotten AS (
        DELETE FROM commands
        USING (
            SELECT scope, key FROM commands
            WHERE refused AND recorded_at < recorded_before
            ORDER BY recorded_at
            LIMIT max_refusals
            FOR UPDATE SKIP LOCKED
        ) AS old
        WHERE commands.scope = old.scope AND commands.key = old.key
        RETURNING 1
    )
    SELECT count(*)::integer FROM forgotten
$$;
