-- Have this transaction read along indexes, and begin to answer at once: what it reads is much, and in their order; locks nothing.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('cursor_tuple_fraction', '0.0001', true), set_config('jit', 'off', true)
