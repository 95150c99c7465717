-- Have the trigger's condition say no more than that an event is one of a transfer. It is made ready anew with every append,
-- and one with six names takes longer over that than all else that the trigger does. The function looks at the names.

CREATE OR REPLACE FUNCTION keep_transfers_in_flight() RETURNS trigger
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
BEGIN
    -- A transfer that ended in its first commit was never in flight: its last event is at version 2.
    IF NEW.event_type IN ('TransferCompleted', 'TransferFailed') THEN
        IF NEW.version > 2 THEN
            DELETE FROM transfers_in_flight WHERE stream_id = NEW.stream_id;
        END IF;
    ELSIF NEW.event_type IN ('TransferDebited', 'TransferResumed', 'TransferStuck', 'TransferRetried') THEN
        INSERT INTO transfers_in_flight (stream_id, resume_at)
        VALUES (NEW.stream_id, (NEW.data ->> 'resumeAt')::timestamptz)
        ON CONFLICT ON CONSTRAINT transfers_in_flight_pkey DO UPDATE SET resume_at = excluded.resume_at;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER events_keep_transfers_in_flight AFTER INSERT ON events
    FOR EACH ROW
    WHEN (starts_with(NEW.event_type, 'Transfer'))
    EXECUTE FUNCTION keep_transfers_in_flight();
