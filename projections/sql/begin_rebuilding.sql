-- Let this session's statements take as long as they take, and end by themselves if this process dies; locks nothing.
SELECT set_config('statement_timeout', '0', false), set_config('client_connection_check_interval', '1s', false)
