-- Let this transaction find tables where they are for everybody; locks nothing.
SELECT set_config('search_path', 'public', true)
