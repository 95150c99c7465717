-- Lock the checkpoints of some projections, in their order, move each to the end of its next batch, and tell whether it
-- has parked streams; no row for one that somebody else has locked.
SELECT batch.begin_position, batch.end_position, batch.has_parked
FROM unnest(%(projections)s::text[]) WITH ORDINALITY AS wanted (projection, place)
CROSS JOIN LATERAL begin_batch(
    of_projection => wanted.projection,
    head => %(head)s::bigint,
    most_events => %(most_events)s::bigint,
    moment => %(now)s::timestamptz
) AS batch
ORDER BY wanted.place
