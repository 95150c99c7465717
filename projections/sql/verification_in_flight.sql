-- Read which streams in a range of ids are listed as in flight, in the order of their ids; locks nothing.
SELECT stream_id,
       CASE WHEN resume_at NOT BETWEEN '0002-01-01Z' AND '9998-12-31Z' THEN '9999-01-01Z' ELSE resume_at END
FROM transfers_in_flight
WHERE stream_id >= %(least)s::text AND (%(most)s::text IS NULL OR stream_id <= %(most)s::text)
ORDER BY stream_id
