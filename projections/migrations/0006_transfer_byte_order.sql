-- Ids of transfers and of their accounts compare by their bytes, whatever the locale; the index that Django makes for
-- prefix searches is then not needed.

DROP INDEX transfer_status_transfer_id_a7588809_like;

ALTER TABLE transfer_status
    ALTER COLUMN transfer_id TYPE text COLLATE "C",
    ALTER COLUMN source_account_id TYPE text COLLATE "C",
    ALTER COLUMN destination_account_id TYPE text COLLATE "C",
    ALTER COLUMN state TYPE text COLLATE "C";
