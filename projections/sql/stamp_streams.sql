-- Keep how far streams were found sound, as of the moment that this transaction sees, and never less than before; locks their rows.
INSERT INTO verified_streams (stream_id, version, hash, seal, verified_at)
SELECT stream_id, version, hash, seal, transaction_timestamp()
FROM unnest(%(stream_ids)s::text[], %(versions)s::bigint[], %(hashes)s::bytea[], %(seals)s::bytea[])
    AS found (stream_id, version, hash, seal)
ORDER BY stream_id
ON CONFLICT (stream_id) DO UPDATE
SET version = excluded.version, hash = excluded.hash, seal = excluded.seal, verified_at = excluded.verified_at
WHERE verified_streams.version <= excluded.version
