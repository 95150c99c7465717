-- Drop all snapshots of a stream, which loses nothing; locks their rows.
DELETE FROM snapshots WHERE stream_id = %(stream_id)s
