-- Let this transaction's statements take minutes, and wait half a minute for locks; locks nothing.
SELECT set_config('statement_timeout', '10min', true), set_config('lock_timeout', '30s', true)
