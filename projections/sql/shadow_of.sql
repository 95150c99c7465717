-- Read the schema of a read model's shadow, and whether the shadow is there; locks nothing.
SELECT shadow_schema(%(projection)s), shadow_read_model(%(projection)s) IS NOT NULL
