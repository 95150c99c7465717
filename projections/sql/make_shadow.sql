-- Make an empty shadow of a read model, in place of one that there may be; locks nothing for long.
SELECT make_shadow(projection => %(projection)s, with_primary_key => %(with_primary_key)s)
