-- Drop what was found of the whole log before a moment, and not since; locks those rows.
DELETE FROM verification_differences WHERE stream_id = '' AND last_found_at < %(began_at)s::timestamptz
