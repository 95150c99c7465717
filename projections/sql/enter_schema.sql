-- Let this transaction find tables in one schema before all others, and read the log along its index; locks nothing.
SELECT set_config('search_path', quote_ident(%(schema)s) || ', public', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true)
