-- Keep a live read model's definition as it is until this transaction ends; locks against vacuums and DDL alone.
SELECT hold_read_model(projection => %(projection)s)
