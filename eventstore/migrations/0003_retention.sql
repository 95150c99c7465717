-- Verdicts stay as they are; refusals alone may be forgotten.

CREATE INDEX commands_refused ON commands (recorded_at) WHERE refused;

CREATE FUNCTION refuse_change_of_verdict() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'verdicts are append-only, but for old refusals: % is refused', TG_OP USING ERRCODE = 'BK001';
END
$$;

CREATE TRIGGER commands_refuse_change BEFORE UPDATE OR TRUNCATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_verdict();

CREATE TRIGGER commands_keep_successes BEFORE DELETE ON commands
    FOR EACH ROW WHEN (NOT old.refused) EXECUTE FUNCTION refuse_change_of_verdict();

-- Delete refusals recorded before a moment, the oldest first and at most so many; return how many. Locks their rows,
-- and leaves to another caller what that one has locked.
CREATE FUNCTION forget_refusals(recorded_before timestamptz, max_refusals integer) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
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

REVOKE EXECUTE ON FUNCTION forget_refusals FROM PUBLIC;
