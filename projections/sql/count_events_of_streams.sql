-- Count the events of the streams between two, up to a position; locks nothing.
SELECT count(*) FROM events
WHERE stream_id >= %(from)s AND stream_id < %(before)s AND position <= %(until_position)s::bigint
