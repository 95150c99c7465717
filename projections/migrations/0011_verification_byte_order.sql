-- Ids of streams compare by their bytes, as those of the log do, and are never searched by their beginnings.
DROP INDEX verified_streams_stream_id_a149b65a_like;

ALTER TABLE verified_streams ALTER COLUMN stream_id TYPE text COLLATE "C";
ALTER TABLE verification_differences ALTER COLUMN stream_id TYPE text COLLATE "C";

-- Each cycle changes every row, and no column that has an index: with room in the page it stays where it is.
ALTER TABLE verified_streams SET (fillfactor = 75);
