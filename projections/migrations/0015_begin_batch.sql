-- Lock a projection's checkpoint until the transaction ends, and move it to where a batch of at most so many events ends,
-- before `head`; no row if there is no checkpoint, or somebody else has it locked. If the batch fails, all of it did.
--
-- Each statement sees what was committed before the lock was had: so also whether streams were parked.
CREATE FUNCTION begin_batch(of_projection text, head bigint, most_events bigint, moment timestamptz)
RETURNS TABLE (begin_position bigint, end_position bigint, has_parked boolean)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT c.position INTO begin_position
    FROM projection_checkpoints AS c
    WHERE c.projection = of_projection
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    end_position := greatest(begin_position, least(head, begin_position + most_events));
    IF end_position > begin_position THEN
        UPDATE projection_checkpoints AS c
        SET position = end_position, heartbeat_at = moment, updated_at = moment
        WHERE c.projection = of_projection;
    END IF;
    has_parked := EXISTS (SELECT FROM projection_failures AS f WHERE f.projection = of_projection);
    RETURN NEXT;
END
$$;
