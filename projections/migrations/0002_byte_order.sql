-- Ids compare by their bytes, whatever the locale: keyset pages then have one order everywhere, and an ordinary index
-- serves prefix searches, so those that Django makes for them are not needed.

DROP INDEX account_summary_account_id_36a3a023_like;
DROP INDEX projection_checkpoints_projection_a8510a28_like;

ALTER TABLE account_summary
    ALTER COLUMN account_id TYPE text COLLATE "C",
    ALTER COLUMN owner_id TYPE text COLLATE "C",
    ALTER COLUMN currency TYPE text COLLATE "C",
    ALTER COLUMN status TYPE text COLLATE "C";

ALTER TABLE account_statement
    ALTER COLUMN account_id TYPE text COLLATE "C",
    ALTER COLUMN event_type TYPE text COLLATE "C";

ALTER TABLE projection_failures ALTER COLUMN stream_id TYPE text COLLATE "C";
