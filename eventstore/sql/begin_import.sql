-- Take the log's lock (see append_events) until the transaction ends, and let that take its time and wait for its file.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
       pg_advisory_xact_lock(4711001)
