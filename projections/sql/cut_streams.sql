-- Read ids of streams that cut the events between two streams into parts of about one size, from a sample; locks nothing.
SELECT coalesce(percentile_disc(%(shares)s::float8[]) WITHIN GROUP (ORDER BY stream_id), '{}')
FROM events TABLESAMPLE SYSTEM (%(percent)s::float4)
WHERE stream_id >= %(from)s AND stream_id < %(before)s
