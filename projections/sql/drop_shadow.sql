-- Drop the shadow of a read model, if there is one; locks nothing else.
SELECT drop_shadow(projection => %(projection)s)
