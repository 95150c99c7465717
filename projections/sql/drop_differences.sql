-- Drop what was found earlier in a range of streams and was not found again; locks those rows.
DELETE FROM verification_differences
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
    AND stream_id <> '' AND last_found_at < transaction_timestamp()
