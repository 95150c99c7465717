-- The transfers whose money is in flight, written in the same append as the events that say so: nothing can hide one,
-- and finding them costs what they are, not what the log is. `resume_at` is NULL for those that are stuck.

CREATE TABLE transfers_in_flight (
    stream_id text        NOT NULL COLLATE "C",
    resume_at timestamptz,
    CONSTRAINT transfers_in_flight_pkey PRIMARY KEY (stream_id)
);

CREATE FUNCTION keep_transfers_in_flight() RETURNS trigger
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.event_type IN ('TransferCompleted', 'TransferFailed') THEN
        DELETE FROM transfers_in_flight WHERE stream_id = NEW.stream_id;
    ELSE
        INSERT INTO transfers_in_flight (stream_id, resume_at)
        VALUES (NEW.stream_id, (NEW.data ->> 'resumeAt')::timestamptz)
        ON CONFLICT ON CONSTRAINT transfers_in_flight_pkey DO UPDATE SET resume_at = excluded.resume_at;
    END IF;
    RETURN NULL;
END
$$;

-- The condition is judged without calling the function, so other events cost next to nothing. A transfer that ended in
-- its first commit was never in flight: its last event is at version 2.
CREATE TRIGGER events_keep_transfers_in_flight AFTER INSERT ON events
    FOR EACH ROW
    WHEN (
        NEW.event_type IN ('TransferDebited', 'TransferResumed', 'TransferStuck', 'TransferRetried')
        OR (NEW.event_type IN ('TransferCompleted', 'TransferFailed') AND NEW.version > 2)
    )
    EXECUTE FUNCTION keep_transfers_in_flight();
