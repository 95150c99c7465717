-- Read the version of the last line of an account's statement; locks nothing.
SELECT stream_version FROM account_statement WHERE account_id = %s ORDER BY stream_version DESC LIMIT 1
