-- Lock a projection's checkpoint, move it to the end of its next batch, and tell whether it has parked streams.
SELECT begin_position, end_position, has_parked
FROM begin_batch(
    of_projection => %(projection)s::text,
    head => %(head)s::bigint,
    most_events => %(most_events)s::bigint,
    moment => %(now)s::timestamptz
)
