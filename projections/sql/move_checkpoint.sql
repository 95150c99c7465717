-- Note how far a projection has come, and when; locks its checkpoint.
UPDATE projection_checkpoints
SET position = %(position)s::bigint, heartbeat_at = %(now)s::timestamptz, updated_at = %(now)s::timestamptz
WHERE projection = %(projection)s::text
RETURNING position
